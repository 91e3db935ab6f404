import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { checkDistribution } from '../../src/cli/doctor.js';
import { SetupError } from '../../src/ledger/index.js';
import { type Db, type Engine, laneOver } from '../../src/store/engine/db.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { isLost } from '../../src/store/engine/sqlstate.js';
import { distribute } from '../../src/store/schema/distribute.js';
import { LEDGER_TABLES } from '../../src/store/schema/tables.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { suiteMode } from '../harness/pgbouncer.js';

/** What can be said of Citus without it; the rest is in `test/citus`. */

/** A coordinator that remembers what it has spread, and fails where it is told to. */
class Coordinator {
  readonly spread: string[] = [];
  readonly sent: string[] = [];
  failsAt: string | undefined;
  hasCitus = true;

  readonly #query: Db['query'] = async (text) => {
    if (/pg_extension/.test(text)) return { rows: this.hasCitus ? [{}] : [] };
    if (/pg_dist_partition/.test(text)) return { rows: this.spread.map((name) => ({ name })) };
    this.sent.push(text);
    const table = /create_\w+_table\('tallystick\.(\w+)'/.exec(text)?.[1];
    if (table !== undefined && table === this.failsAt) throw new Error('a worker is away');
    if (table !== undefined) this.spread.push(table);
    return { rows: [] };
  };

  get engine(): Engine {
    const db = { query: this.#query };
    return { reader: db, onSession: (work) => work(laneOver(db)) } as Partial<Engine> as Engine;
  }
}

describe('a distribution', () => {
  test('spreads every table, those first that others refer to, and then nothing', async () => {
    const coordinator = new Coordinator();
    await distribute(coordinator.engine);
    expect(coordinator.spread).toEqual(LEDGER_TABLES);
    const sent = coordinator.sent.length;
    await distribute(coordinator.engine);
    expect(coordinator.sent).toHaveLength(sent);
  });

  test('that fails half-way says in one line at what, and the next goes on from there', async () => {
    const coordinator = new Coordinator();
    coordinator.failsAt = 'entries';
    const failed = distribute(coordinator.engine);
    await expect(failed).rejects.toThrow(SetupError);
    await expect(failed).rejects.toThrow(
      /^".*tallystick\.entries.*" failed: a worker is away\. .*stays so; mend the cause and run tallystick migrate --distribute again\.$/,
    );
    expect(coordinator.spread).toEqual(['stores', 'api_keys', 'accounts', 'transactions']);
    coordinator.failsAt = undefined;
    await distribute(coordinator.engine);
    expect(coordinator.spread).toEqual(LEDGER_TABLES);
  });

  test('is refused where there is no Citus, with what to do', async () => {
    const coordinator = new Coordinator();
    coordinator.hasCitus = false;
    await expect(distribute(coordinator.engine)).rejects.toThrow(/CREATE EXTENSION citus/);
    expect(coordinator.sent).toEqual([]);
  });
});

test.each([
  ['server closed the connection unexpectedly\n\tThis probably means that', true],
  ['SSL SYSCALL error: EOF detected', true],
  ['could not commit transaction for shard 102008 on at least one active node', true],
  ['cache lookup failed for relation 1', false],
])('an internal error that says %j is a worker that went away: %s', (message, lost) => {
  expect(isLost(Object.assign(new Error(message), { code: 'XX000' }))).toBe(lost);
});

describe('doctor', () => {
  test('says nothing of a distribution where there is no Citus', () => {
    expect(checkDistribution({ undistributed: undefined })).toEqual([]);
  });

  test('says that all is distributed, or what is not and how to mend it', () => {
    expect(checkDistribution({ undistributed: [] })).toMatchObject([{ status: 'ok' }]);
    expect(checkDistribution({ undistributed: ['holds', 'outbox'] })).toMatchObject([
      { status: 'warn', message: expect.stringMatching(/ holds, outbox\. Run .*--distribute\.$/) },
    ]);
  });
});

onEngine(POSTGRES, ({ create }) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await create({ lanes: 1 });
  });
  afterAll(() => database.drop());

  const settingOf = async (lane: Db, name: string) =>
    (await lane.query(`select current_setting('${name}', true) as value`)).rows[0].value;

  // Behind a pooler a session is nobody's, so that nothing can be set in it beforehand.
  test.skipIf(inject('postgres')?.citus || suiteMode() !== undefined)(
    'a lane plans with values where there is Citus, and tells workers when to give up',
    async () => {
      await database.engine.onLane(async (lane) => {
        expect(await settingOf(lane, 'plan_cache_mode')).toBe('force_generic_plan');
      });
      // The record of an extension is all that a start looks for.
      await database.engine.onSession((lane) =>
        lane.query(`insert into pg_extension
          select 99999, 'citus', extowner, extnamespace, false, '0', null, null
          from pg_extension limit 1`),
      );
      const engine = await openPostgres({ url: database.url!, lanes: 1 });
      await engine.onLane(async (lane) => {
        expect(await settingOf(lane, 'plan_cache_mode')).toBe('force_custom_plan');
        expect(await settingOf(lane, 'citus.propagate_set_commands')).toBe('local');
        // Only what a transaction sets for itself is told to workers.
        await lane.query("set lock_timeout = '9s'");
        await lane.query('begin');
        expect(await settingOf(lane, 'lock_timeout')).toBe('100ms');
        expect(await settingOf(lane, 'idle_in_transaction_session_timeout')).toBe('2s');
        await lane.query('rollback');
        expect(await settingOf(lane, 'lock_timeout')).toBe('9s');
      });
      await engine.close();
    },
  );
});
