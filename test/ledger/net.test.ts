import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Posting } from '../../src/core/model.js';
import {
  creditCommand,
  openCommand,
  postCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store, sweepStore, verifyLedger } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** What the lines of one account come to draws, and what the former rule drew stays right. */

const T0 = Date.UTC(2100, 0, 1);
const PAGE = { limit: 10, after: undefined, before: undefined };

onEngines((engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine);
    store = await createStore(ledger.engine);
  });
  afterAll(() => database.drop());

  const isClean = async () => expect((await verifyLedger(database.engine)).differences).toEqual([]);
  const post = async (postings: readonly Posting[]) => {
    const command = postCommand({ postings, reference: 'r', key: newId() });
    const outcome = await ledger.execute(store, command);
    if (outcome.kind !== 'transaction') throw new Error(JSON.stringify(outcome));
    return outcome.transaction;
  };
  /** An account whose credits all expire within a second. */
  const opened = async () => {
    await ledger.setClock(store, T0);
    const fields = { customerId: newId(), name: 'a', unitLabel: 'u', initialBalance: 0n };
    const outcome = await ledger.execute(store, openCommand(fields));
    if (outcome.kind !== 'account') throw new Error(outcome.kind);
    const { id: accountId } = outcome.account;
    const movement = { accountId, amount: 100n, reference: 'r', key: newId() };
    await ledger.execute(store, creditCommand({ ...movement, terms: { expiresAt: T0 + 1_000 } }));
    const grant = async () => {
      return (await ledger.funds.grants(store, accountId, undefined, PAGE)).items[0]!;
    };
    return { accountId, grant };
  };
  const balanceOnceDue = async (accountId: string) => {
    await ledger.setClock(store, T0 + 1_000);
    await sweepStore(ledger, store);
    return (await ledger.account(store, accountId)).balance;
  };

  test('a debit beside a credit of the same amount makes nothing permanent', async () => {
    const { accountId, grant } = await opened();
    const { drawdowns } = await post([
      { accountId, amount: -100n },
      { accountId, amount: 100n },
    ]);
    expect(drawdowns).toEqual([]);
    expect((await grant()).remaining).toBe(100n);
    expect(await balanceOnceDue(accountId)).toBe(0n);
    await isClean();
  });

  test('what was drawn by the former rule verifies clean, and is put back as it was', async () => {
    const { accountId, grant } = await opened();
    const parts = [{ grantId: (await grant()).id, amount: 100n }];
    // Where parts are given they are drawn, as each debit line once drew by itself.
    const former = await post([
      { accountId, amount: -100n, parts },
      { accountId, amount: 100n },
    ]);
    expect(former.drawdowns).toMatchObject([{ line: 0, amount: 100n }]);
    expect((await grant()).remaining).toBe(0n);
    await isClean();
    const reversal = await ledger.execute(store, reverseCommand(former.id));
    expect(reversal).toMatchObject({ kind: 'transaction', replayed: false });
    expect((await grant()).remaining).toBe(100n);
    await isClean();
    expect(await balanceOnceDue(accountId)).toBe(0n);
    await isClean();
  });
});
