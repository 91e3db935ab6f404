import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store, Sweeper, sweepStore, verifyLedger } from '../../src/ledger/index.js';
import { findDueAccounts } from '../../src/store/read/clock.js';
import { uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** The sweep: in chunks, to be stopped at any moment, by any number of servers at once. */

const ACCOUNTS = 60;
const GRANTS_EACH = 5;
const DAY_MS = 86_400_000;

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let ledger: Ledger;
  let store: Store;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    ({ ledger, store } = server);
  });
  afterAll(async () => {
    await server.close();
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
    await database.drop();
  });

  const open = async () => {
    const outcome = await ledger.execute(
      store,
      openCommand({
        customerId: uniqueName('cust'),
        name: 'default',
        unitLabel: 'credits',
        initialBalance: 10n,
      }),
    );
    if (outcome.kind !== 'account') throw new Error('The account was refused.');
    return outcome.account.id;
  };

  /** Accounts whose grants end one day after another. */
  const openWithGrants = async () => {
    const { now } = await ledger.clock(store);
    const ids = await Promise.all(Array.from({ length: ACCOUNTS }, open));
    const movements = ids.flatMap((accountId) =>
      Array.from({ length: GRANTS_EACH }, (_, day) => ({
        accountId,
        amount: 1n,
        reference: 'grant',
        key: uniqueName('key'),
        terms: { expiresAt: now + (day + 1) * DAY_MS },
      })),
    );
    const outcomes = await Promise.all(
      movements.map((one) => ledger.execute(store, creditCommand(one))),
    );
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['transaction']));
    return ids;
  };

  const expired = async () => {
    const { rows } = await database.engine.reader.query(
      `select count(*)::int as count from tallystick.transactions
        where store_id = $1 and operation = 'expire'`,
      [store.id],
    );
    return rows[0].count as number;
  };

  test('settles what is due, once, and leaves the rest', async () => {
    const ids = await openWithGrants();
    await ledger.advanceClock(store, 2 * 86_400);
    const before = await expired();
    const both = await Promise.all([sweepStore(ledger, store), sweepStore(ledger, store)]);
    // Where both meet in one batch, both are told of what it settled.
    const told = new Set(both.flatMap(({ transactions }) => transactions.map(({ id }) => id)));
    expect(told.size).toBe(ACCOUNTS * 2);
    expect((await expired()) - before).toBe(ACCOUNTS * 2);
    for (const id of ids) expect((await ledger.account(store, id)).balance).toBe(13n);
    const again = await sweepStore(ledger, store);
    expect(again.transactions).toEqual([]);
  });

  test('goes on where it was stopped, while debits go on', async () => {
    const ids = await openWithGrants();
    await ledger.advanceClock(store, GRANTS_EACH * 86_400);
    const total = (await expired()) + ACCOUNTS * GRANTS_EACH;
    const other = await open();
    let debits = 0;
    // Each sweeper is stopped as soon as it has begun, so that several are needed.
    for (let rounds = 0; (await expired()) < total; rounds++) {
      expect(rounds).toBeLessThan(1_000);
      const sweeper = new Sweeper(ledger, (error) => expect.unreachable(String(error)));
      if (debits < 10) {
        const movement = { accountId: other, amount: 1n, reference: 'use', key: uniqueName('key') };
        expect((await ledger.execute(store, debitCommand(movement))).kind).toBe('transaction');
        debits++;
      }
      await sweeper.stop();
    }
    expect(await expired()).toBeGreaterThanOrEqual(total);
    for (const id of ids) expect((await ledger.account(store, id)).balance).toBe(10n);
  });

  test('leaves alone what holds keep of expired grants, until they end', async () => {
    const accountId = await open();
    const { now } = await ledger.clock(store);
    const of = (amount: bigint) => ({ accountId, amount, reference: 'r', key: uniqueName('key') });
    const terms = { expiresAt: now + DAY_MS, priority: 0 };
    await ledger.execute(store, creditCommand({ ...of(4n), terms }));
    for (const days of [3, 5]) {
      const held = holdCommand({ ...of(2n), expiresInMs: days * DAY_MS });
      expect((await ledger.execute(store, held)).kind).toBe('hold');
    }
    const dueAfter = async (days: number) => {
      await ledger.setClock(store, now + days * DAY_MS);
      const due = { now: now + days * DAY_MS, announceUntil: 0, limit: 100_000 };
      const found = (await findDueAccounts(database.engine.reader, store.id, due)).length;
      const { transactions } = await sweepStore(ledger, store);
      return [found, transactions.flatMap(({ drawdowns }) => drawdowns.map((one) => one.amount))];
    };
    expect(await dueAfter(2)).toEqual([0, []]);
    expect(await dueAfter(3)).toEqual([1, [2n]]);
    expect(await dueAfter(4)).toEqual([0, []]);
    expect(await dueAfter(5)).toEqual([1, [2n]]);
    expect(await dueAfter(6)).toEqual([0, []]);
  });

  test('announces an expiry once, ahead of it', async () => {
    const ids = await openWithGrants();
    const announcing = new Ledger(database.engine, undefined, 2 * DAY_MS);
    const first = await sweepStore(announcing, store);
    expect(first.grantsAnnounced).toBe(ids.length * 2);
    expect((await sweepStore(announcing, store)).grantsAnnounced).toBe(0);
  });
});
