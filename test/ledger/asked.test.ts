import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { onEngine, PGLITE, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';
import { watched } from '../harness/watched.js';

/** What of its grants is asked for where an account has none that is open. */

onEngine(PGLITE, (engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;
  const sent: string[] = [];
  /** It had a grant of 5, which is used up, and has 10 beside. */
  let accountId: string;
  let credit: string;
  let debit: string;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(watched(database.engine, sent));
    store = await createStore(database.engine);
  });
  afterAll(async () => {
    await expectSound(database.engine.reader);
    await database.drop();
  });
  beforeEach(async () => {
    const fields = { customerId: newId(), name: 'a', unitLabel: 'u', initialBalance: 10n };
    const opened = await ledger.execute(store, openCommand(fields));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    accountId = opened.account.id;
    credit = idOf(
      await ledger.execute(store, creditCommand({ ...move(5n), terms: { priority: 0 } })),
    );
    debit = idOf(await ledger.execute(store, debitCommand(move(5n))));
    sent.length = 0;
  });

  const move = (amount: bigint) => ({ accountId, amount, reference: 'r', key: newId() });
  const idOf = (outcome: Awaited<ReturnType<Ledger['execute']>>) => {
    if (outcome.kind !== 'transaction') throw new Error(outcome.kind);
    return outcome.transaction.id;
  };
  const balance = async () => (await ledger.account(store, accountId)).balance;

  test('what a credit brought and is used up is not taken back out of something else', async () => {
    const outcome = await ledger.execute(store, reverseCommand(credit));
    expect(outcome).toMatchObject({ refusal: { code: 'insufficient_balance' } });
    expect(await balance()).toBe(10n);
  });

  test('what a debit took goes back into the grant that it used up', async () => {
    idOf(await ledger.execute(store, reverseCommand(debit)));
    idOf(await ledger.execute(store, reverseCommand(credit)));
    expect(await balance()).toBe(10n);
  });

  test('debits, credits and holds do not ask for any', async () => {
    idOf(await ledger.execute(store, debitCommand(move(1n))));
    idOf(await ledger.execute(store, creditCommand(move(1n))));
    const held = await ledger.execute(store, holdCommand({ ...move(1n), expiresInMs: 60_000 }));
    expect(held.kind).toBe('hold');
    const asks = (table: string) =>
      sent.filter((text) => text.includes(`from tallystick.${table}`));
    expect(asks('holds')).not.toEqual([]);
    expect(asks('grants')).toEqual([]);
  });
});
