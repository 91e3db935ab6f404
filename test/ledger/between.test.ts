import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  extendCommand,
  holdCommand,
  openCommand,
  type Terms,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { sweepStore } from '../../src/ledger/sweep.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';
import { interrupted } from '../harness/watched.js';

/**
 * What a read answers while something is booked between two of its statements: what was true
 * before or what is true after, and never what was true at no time.
 */

const T0 = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;
const PAGE = { limit: 10, after: undefined, before: undefined };
/** More than any read sends; after the last of them nothing happens in between any more. */
const STATEMENTS = [1, 2, 3, 4];

onEngines((engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;
  let accountId: string;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine);
    store = await createStore(database.engine);
  });
  afterAll(() => database.drop());

  beforeEach(async () => {
    await ledger.setClock(store, T0);
    const fields = { customerId: newId(), name: 'a', unitLabel: 'u', initialBalance: 0n };
    const opened = await ledger.execute(store, openCommand(fields));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    accountId = opened.account.id;
  });

  const credit = async (amount: bigint, terms?: Terms) => {
    const movement = { accountId, amount, reference: 'r', key: newId(), terms };
    expect((await ledger.execute(store, creditCommand(movement))).kind).toBe('transaction');
  };
  const debit = async (amount: bigint) => {
    const movement = { accountId, amount, reference: 'r', key: newId() };
    expect((await ledger.execute(store, debitCommand(movement))).kind).toBe('transaction');
  };
  const hold = async (amount: bigint, expiresInMs: number) => {
    const fields = { accountId, amount, reference: 'r', key: newId(), expiresInMs };
    const outcome = await ledger.execute(store, holdCommand(fields));
    if (outcome.kind !== 'hold') throw new Error(outcome.kind);
    return outcome.hold.id;
  };
  /** A ledger whose reads are interrupted once. */
  const reading = (nth: number, happen: () => Promise<unknown>) =>
    new Ledger(interrupted(database.engine, nth, happen));

  describe.each(STATEMENTS)('after statement %i', (nth) => {
    test.each([1, 2, 9])('an expiry is booked: the balance at hour %i', async (hours) => {
      await credit(100n, { expiresAt: T0 + HOUR });
      await ledger.setClock(store, T0 + 2 * HOUR);
      const read = reading(nth, () => sweepStore(ledger, store));
      expect(await read.balanceAt(store, accountId, T0 + hours * HOUR)).toBe(0n);
    });

    test('an expiry is booked: the balance of now', async () => {
      await credit(7n);
      await credit(100n, { expiresAt: T0 + HOUR });
      await ledger.setClock(store, T0 + 2 * HOUR);
      const read = reading(nth, () => sweepStore(ledger, store));
      const { position } = await read.funds.position(store, accountId);
      expect(position).toMatchObject({ balance: 7n, held: 0n, available: 7n, expiringNext: null });
    });

    test('a hold is extended, and lives past its first end', async () => {
      await credit(10n);
      const id = await hold(4n, HOUR);
      const read = reading(nth, async () => {
        await ledger.execute(store, extendCommand(id, 3 * HOUR));
        await ledger.setClock(store, T0 + 2 * HOUR);
      });
      expect(await read.funds.hold(store, id)).toMatchObject({ status: 'open', remaining: 4n });
    });

    test('a grant begins and is drawn from: lists', async () => {
      await credit(20n, { effectiveAt: T0 + HOUR });
      const read = reading(nth, async () => {
        await ledger.setClock(store, T0 + 2 * HOUR);
        await debit(3n);
      });
      const { items, now } = await read.funds.grants(store, accountId, undefined, PAGE);
      const [{ remaining, effectiveAt }] = items as [(typeof items)[number]];
      // While it was still to come, all of it was there.
      if (remaining < 20n) expect(effectiveAt).toBeLessThanOrEqual(now);
      else expect(effectiveAt).toBeGreaterThan(now);
    });

    test('a hold ends where another begins: lists', async () => {
      await credit(10n);
      await hold(10n, HOUR);
      const read = reading(nth, async () => {
        await ledger.setClock(store, T0 + HOUR);
        await hold(10n, HOUR);
        await ledger.setClock(store, T0);
      });
      const { items } = await read.funds.holds(store, accountId, undefined, PAGE);
      expect(items.filter(({ status }) => status === 'open')).toHaveLength(1);
    });

    test('the clock is stopped: what it shows', async () => {
      await ledger.setClock(store, null);
      const read = reading(nth, () => ledger.setClock(store, T0));
      const { now, real } = await read.clock(store);
      expect(real).toBe(now < T0);
    });
  });
});
