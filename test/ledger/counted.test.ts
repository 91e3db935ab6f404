import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
} from '../../src/ledger/commands.js';
import { Ledger, verifyLedger } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { listMigrations, splitStatements } from '../../src/store/schema/migrate.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** The migration counts what the holds of an older database keep, as the ledger counts it since. */

const COUNTING = 7;

onEngines((engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create({ lanes: 1 });
  });
  afterAll(() => database.drop());

  async function fill(ledger: Ledger): Promise<void> {
    const store = await createStore(ledger.engine);
    for (const initialBalance of [0n, 9n]) {
      const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance };
      const opened = await ledger.execute(store, openCommand(fields));
      if (opened.kind !== 'account') throw new Error(opened.kind);
      const of = (amount: bigint) => {
        return { accountId: opened.account.id, amount, reference: 'r', key: newId() };
      };
      for (const priority of [1, 2, 90]) {
        await ledger.execute(store, creditCommand({ ...of(10n), terms: { priority } }));
      }
      await ledger.execute(store, debitCommand(of(3n)));
      for (const amount of [5n, 9n, 2n]) {
        const held = holdCommand({ ...of(amount), expiresInMs: 60_000 });
        await ledger.execute(store, held);
        const rest = { amount: 1n, overage: 'refuse', final: amount === 2n } as const;
        await ledger.execute(store, captureCommand({ holdId: held.holdId, ...rest, key: newId() }));
      }
    }
  }

  test('what was not counted before is counted right', async () => {
    await fill(new Ledger(database.engine));
    const { reader } = database.engine;
    await reader.query('update tallystick.grants set held = 0');
    await reader.query('update tallystick.accounts set free_in_grants = 0');
    const kinds = (await verifyLedger(database.engine)).differences.map(({ kind }) => kind);
    expect(kinds.sort()).toEqual(['free_in_grants_differs', 'grant_held_differs']);
    const { sql } = (await listMigrations()).find(({ version }) => version === COUNTING)!;
    const updates = splitStatements(sql).filter((statement) => /^update /m.test(statement));
    expect(updates).toHaveLength(2);
    for (const statement of updates) await reader.query(statement);
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
  });
});
