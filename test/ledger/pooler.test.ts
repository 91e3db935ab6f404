import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { creditCommand, debitCommand, openCommand } from '../../src/ledger/commands.js';
import { Ledger, verifyLedger } from '../../src/ledger/index.js';
import type { Db, Engine } from '../../src/store/engine/db.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { prepared } from '../../src/store/engine/prepared.js';
import type { PoolerMode } from '../../src/store/engine/settings.js';
import { newId } from '../../src/store/ids.js';
import type { Cluster } from '../harness/cluster.js';
import { onServer } from '../harness/database.js';
import { POSTGRES, type TestDatabase } from '../harness/engines.js';
import { HAS_PGBOUNCER, startPooler, TAKES_NAMES_ALONG } from '../harness/pgbouncer.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';

/** Two servers behind a real PgBouncer; without one, the names of the tests say what is missing. */

const possible = HAS_PGBOUNCER && POSTGRES.available;
const reason = possible ? '' : ' (skipped: needs pgbouncer and PostgreSQL)';

let database: TestDatabase;
let pooler: Cluster;
let engines: Engine[];

/** @param pooler undefined where it is to be found out. */
async function begin(
  mode: 'transaction' | 'session',
  sessions: number,
  told: PoolerMode | undefined,
): Promise<void> {
  database = await POSTGRES.create();
  pooler = await startPooler(database.direct!, mode, { sessions });
  const open = () => openPostgres({ url: pooler.url, pooler: told });
  engines = [await open(), await open()];
}

async function end(): Promise<void> {
  await Promise.all(engines.map((engine) => engine.close()));
  await pooler.stop();
  await database.drop();
}

async function openAccount(ledger: Ledger, store: Awaited<ReturnType<typeof createStore>>) {
  const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: 50n };
  const opened = await ledger.execute(store, openCommand(fields));
  if (opened.kind !== 'account') throw new Error(opened.kind);
  return opened.account.id;
}

const MODES = [
  { mode: 'transaction', told: undefined, sessions: 4 },
  { mode: 'session', told: undefined, sessions: 60 },
  { mode: 'session', told: 'session', sessions: 60 },
  ...(TAKES_NAMES_ALONG ? [{ mode: 'transaction', told: 'prepared', sessions: 4 } as const] : []),
] as const;

describe.skipIf(!possible).each(MODES)(
  `pgbouncer, $mode mode, told $told${reason}`,
  ({ mode, told, sessions }) => {
    beforeAll(() => begin(mode, sessions, told));
    afterAll(() => end());

    test('two servers race for one account, and for many', async () => {
      const store = await createStore(engines[0]!);
      const ledgers = engines.map((engine) => new Ledger(engine));
      const one = await openAccount(ledgers[0]!, store);
      const many = await Promise.all(
        Array.from({ length: 20 }, () => openAccount(ledgers[0]!, store)),
      );
      const move = (amount: bigint) => ({ amount, reference: 'r', key: newId() });
      const debits = Array.from({ length: 100 }, (_, n) =>
        ledgers[n % 2]!.execute(store, debitCommand({ accountId: one, ...move(1n) })),
      );
      const credits = many.flatMap((accountId) =>
        ledgers.map((ledger) => ledger.execute(store, creditCommand({ accountId, ...move(3n) }))),
      );
      const kinds = (await Promise.all(debits)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === 'transaction')).toHaveLength(50);
      await Promise.all(credits);
      await expectSound(engines[0]!.reader);
      const sum = await engines[1]!.reader.query(
        'select sum(balance)::text as sum from tallystick.accounts',
      );
      expect(sum.rows[0].sum).toBe(String(20 * 56));
      // A proof is one long transaction, on a session of its own.
      const proof = await verifyLedger(engines[0]!);
      expect(proof.clean).toBe(true);
    });
  },
);

/** What the program sets, and what somebody else may have left of it and of more in a session. */
const SETTINGS = `select current_setting('plan_cache_mode') as plans,
  current_setting('enable_seqscan') as scans, current_setting('lock_timeout') as lock,
  current_setting('statement_timeout') as statement,
  current_setting('idle_in_transaction_session_timeout') as idle`;
const LEFT = { plans: 'auto', scans: 'on', lock: '7s', statement: '7s', idle: '7s' };
const ON_LANE = {
  plans: 'force_generic_plan',
  scans: 'off',
  lock: '100ms',
  statement: '2500ms',
  idle: '2s',
};

const SHARED = [
  { told: undefined },
  ...(TAKES_NAMES_ALONG ? [{ told: 'prepared' } as const] : []),
] as const;

describe.skipIf(!possible).each(SHARED)(
  `one session for everybody, told $told${reason}`,
  ({ told }) => {
    let other: pg.Client;

    beforeAll(async () => {
      await begin('transaction', 1, told);
      other = new pg.Client({ connectionString: pooler.url });
      await other.connect();
      await other.query(`set lock_timeout = '7s'; set statement_timeout = '7s';
        set idle_in_transaction_session_timeout = '7s'; set search_path = nowhere;
        set intervalstyle = 'sql_standard'; set extra_float_digits = -5; set bytea_output = escape;
        set default_transaction_isolation = serializable; set datestyle = 'SQL, DMY';
        set timezone = 'Asia/Kathmandu'`);
    });
    afterAll(async () => {
      await other.end();
      await end();
    });

    const shown = async (db: Db) => (await db.query(SETTINGS, [])).rows[0];

    test('what works for requests brings its settings along, in a transaction and alone', async () => {
      const { reader, keys, worker } = engines[0]!;
      const read = { ...LEFT, plans: 'force_custom_plan', lock: '1s' };
      expect(await shown(reader)).toEqual({ ...read, statement: '2500ms' });
      expect(await shown(keys)).toEqual({ ...read, statement: '1s' });
      expect(await shown(worker)).toEqual({ ...read, statement: '9s' });
      for (const use of [engines[0]!.onLane, engines[1]!.onWaitingLane]) {
        await use(async (lane) => {
          expect(await shown(lane)).toEqual(ON_LANE);
          const { inside } = await lane.transaction({ inside: { text: SETTINGS, values: [] } });
          expect(inside.rows).toEqual([ON_LANE]);
        });
      }
      await engines[0]!.onSession(async (lane) => {
        const unbounded = { ...LEFT, statement: '0', idle: '0' };
        expect(await shown(lane)).toEqual(unbounded);
        await lane.query('begin');
        expect(await shown(lane)).toEqual(unbounded);
        await lane.query('rollback');
      });
    });

    test('and leaves nothing of them to others', async () => {
      expect((await other.query(SETTINGS)).rows).toEqual([LEFT]);
      const names = "select 1 from pg_prepared_statements where name like 'tallystick%'";
      expect((await other.query(names)).rows).toEqual([]);
    });

    test('a statement that fails alone leaves no transaction behind', async () => {
      const fails = { code: '22012' };
      await expect(engines[0]!.reader.query('select 1 / $1::int', [0])).rejects.toMatchObject(
        fails,
      );
      const onLane = engines[0]!.onLane((lane) => lane.query('select 1 / $1::int', [0]));
      await expect(onLane).rejects.toMatchObject(fails);
      expect(await shown(engines[0]!.keys)).toMatchObject({ statement: '1s' });
    });

    test('nothing depends on what others have set beside', async () => {
      const store = await createStore(engines[0]!);
      const ledgers = engines.map((engine) => new Ledger(engine));
      const accountId = await openAccount(ledgers[0]!, store);
      const before = Date.now() - 60_000;
      const debit = { accountId, amount: 2n, reference: 'r', key: newId() };
      const made = await ledgers[0]!.execute(store, debitCommand(debit));
      const again = await ledgers[1]!.execute(store, debitCommand(debit));
      if (made.kind !== 'transaction' || again.kind !== 'transaction') throw new Error(made.kind);
      expect(again.transaction).toEqual(made.transaction);
      expect(made.transaction.createdAt).toBeGreaterThan(before);
      expect(made.transaction.createdAt).toBeLessThan(Date.now() + 60_000);
      expect((await verifyLedger(engines[1]!)).clean).toBe(true);
    });
  },
);

describe.skipIf(!possible)(`a pooler in transaction mode taken for none${reason}`, () => {
  const open = () => openPostgres({ url: pooler.url, pooler: 'session' });

  beforeAll(async () => {
    database = await POSTGRES.create();
    pooler = await startPooler(database.direct!, 'transaction', { sessions: 1, names: false });
    engines = [await open()];
  });
  afterAll(() => end());

  const HINT = /prepared statement "tallystick_\w+" .*: .* Set TALLYSTICK_POOLER=transaction/;

  test('the first statement that meets another one says what to set', async () => {
    await expect(open()).rejects.toThrow(HINT);
    await onServer(pooler.url, 'deallocate all');
    engines.push(await open());
    const send = (db: Db) => db.query('select $1::int as n', [1]);
    await send(engines[0]!.reader);
    await expect(send(engines[1]!.reader)).rejects.toThrow(HINT);
    await expect(engines[1]!.onLane(send)).rejects.toThrow(HINT);
  });

  test('a write is answered, and the operator is told', async () => {
    const own = await openPostgres({ url: database.direct! });
    const store = await createStore(own);
    await own.close();
    const told: string[] = [];
    const ledgers = engines.map((engine) => new Ledger(engine));
    const [first, second] = ledgers as [Ledger, Ledger];
    const accountId = await openAccount(first, store);
    second.reportWrites({ failing: (_, fault) => told.push(fault), working: () => {} });
    const debit = { accountId, amount: 1n, reference: 'r', key: newId() };
    expect(await second.execute(store, debitCommand(debit))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'unavailable' },
    });
    expect(told).toEqual([expect.stringContaining('TALLYSTICK_POOLER=transaction')]);
  });
});

test('a name stands for one statement, in whatever order a program came to its statements', async () => {
  const { name } = prepared('select 1', [], true);
  vi.resetModules();
  const later = await import('../../src/store/engine/prepared.js');
  expect(later.prepared('select 2', [], true).name).not.toBe(name);
  expect(later.prepared('select 1', [], true).name).toBe(name);
});
