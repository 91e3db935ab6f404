import { afterAll, beforeAll, expect, test } from 'vitest';
import { debitCommand, Ledger, openCommand, type Store } from '../../src/ledger/index.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** Ten servers on one database, and what they take of it. */

const SERVERS = 10;
/** What docs/operations.md says that a server takes at most. */
const CONNECTIONS_MAX = 16;

onEngine(POSTGRES, ({ create }) => {
  let database: TestDatabase;
  let ledgers: Ledger[];
  let store: Store;

  beforeAll(async () => {
    database = await create();
    store = await createStore(database.engine);
    const others = Array.from({ length: SERVERS - 1 }, () => database.another());
    ledgers = [database.engine, ...(await Promise.all(others))].map((engine) => new Ledger(engine));
  });
  afterAll(() => database.drop());

  test('write to one account and to many, and each movement is there once', async () => {
    const open = async (customerId: string) => {
      const account = { customerId, name: 'n', unitLabel: 'u', initialBalance: 1_000n };
      const opened = await ledgers[0]!.execute(store, openCommand(account));
      if (opened.kind !== 'account') throw new Error(`Opening came to ${opened.kind}.`);
      return opened.account.id;
    };
    const one = await open('one');
    const many = await Promise.all(ledgers.map((_, n) => open(`many ${n}`)));
    const debit = (ledger: Ledger, accountId: string, key: string) =>
      ledger.execute(store, debitCommand({ accountId, amount: 1n, reference: 'r', key }));
    const outcomes = await Promise.all(
      ledgers.flatMap((ledger, n) =>
        Array.from({ length: 10 }, (_, i) => [
          debit(ledger, one, `one ${n} ${i}`),
          debit(ledger, many[n]!, `many ${n} ${i}`),
        ]).flat(),
      ),
    );
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'transaction'));
    const { rows } = await database.engine.reader.query(
      'select customer_id, balance::int as balance from tallystick.accounts order by customer_id',
    );
    const balances = Object.fromEntries(rows.map((row) => [row.customer_id, row.balance]));
    expect(balances.one).toBe(1_000 - 10 * SERVERS);
    expect(ledgers.map((_, n) => balances[`many ${n}`])).toEqual(ledgers.map(() => 990));
    const connections = await database.engine.reader.query(
      'select count(*)::int as count from pg_stat_activity where datname = current_database()',
    );
    expect(connections.rows[0].count).toBeLessThanOrEqual(SERVERS * CONNECTIONS_MAX);
  });
});
