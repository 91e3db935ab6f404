import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../src/ledger/ids.js';
import { Ledger, verifyLedger } from '../../src/ledger/index.js';
import type { Engine } from '../../src/store/db.js';
import { openPostgres } from '../../src/store/postgres.js';
import type { Cluster } from '../harness/cluster.js';
import { POSTGRES, type TestDatabase } from '../harness/engines.js';
import { HAS_PGBOUNCER, startPooler } from '../harness/pgbouncer.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';

/** Two servers behind a real PgBouncer; without one, the names of the tests say what is missing. */

const possible = HAS_PGBOUNCER && POSTGRES.available;
const reason = possible ? '' : ' (skipped: needs pgbouncer and PostgreSQL)';
const MODES = [
  { mode: 'transaction', sessions: 4 },
  { mode: 'session', sessions: 60 },
] as const;

describe.skipIf(!possible).each(MODES)(`pgbouncer, $mode mode${reason}`, ({ mode, sessions }) => {
  let database: TestDatabase;
  let pooler: Cluster;
  let engines: Engine[];

  beforeEach(async () => {
    database = await POSTGRES.create();
    pooler = await startPooler(database.url!, mode, sessions);
    // Nothing says that there is a pooler: it is found out.
    engines = [await openPostgres({ url: pooler.url }), await openPostgres({ url: pooler.url })];
  });
  afterEach(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await pooler.stop();
    await database.drop();
  });

  test('two servers race for one account, and for many', async () => {
    const store = await createStore(engines[0]!);
    const ledgers = engines.map((engine) => new Ledger(engine));
    const open = async (initialBalance: bigint) => {
      const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance };
      const opened = await ledgers[0]!.open(store, fields);
      if (opened.kind !== 'account') throw new Error(opened.kind);
      return opened.account.id;
    };
    const one = await open(50n);
    const many = await Promise.all(Array.from({ length: 20 }, () => open(0n)));
    const move = (amount: bigint) => ({ amount, reference: 'r', key: newId() });
    const debits = Array.from({ length: 100 }, (_, n) =>
      ledgers[n % 2]!.debit(store, { accountId: one, ...move(1n) }),
    );
    const credits = many.flatMap((accountId) =>
      ledgers.map((ledger) => ledger.credit(store, { accountId, ...move(3n) })),
    );
    const kinds = (await Promise.all(debits)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'transaction')).toHaveLength(50);
    await Promise.all(credits);
    await expectSound(engines[0]!.reader);
    const sum = await engines[1]!.reader.query(
      'select sum(balance)::text as sum from tallystick.accounts',
    );
    expect(sum.rows[0].sum).toBe('120');
    // A proof is one long transaction, on a session of its own.
    const proof = await verifyLedger(engines[0]!);
    expect(proof.clean).toBe(true);
  });

  test('what a lane sets is gone with its transaction', async () => {
    const shown =
      "select current_setting('statement_timeout') as s, current_setting('lock_timeout') as l";
    const { inside } = await engines[0]!.onLane((lane) =>
      lane.transaction({ inside: { text: shown, values: [] } }),
    );
    expect(inside.rows).toEqual([{ s: '2500ms', l: '100ms' }]);
    expect((await engines[1]!.reader.query(shown)).rows).toEqual([{ s: '0', l: '0' }]);
  });
});
