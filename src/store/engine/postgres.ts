import pg from 'pg';
import { SetupError } from '../schema/migrate.js';
import type { Engine } from './db.js';
import { cut, endClient, LaneSet, type LaneSettings } from './lanes.js';
import { type PoolLimits, PoolReader } from './pool-reader.js';
import { explained, prepared } from './prepared.js';
import { type Lending, lendingOf, type PoolerMode } from './settings.js';
import { sqlstate } from './sqlstate.js';

export interface PostgresOptions {
  readonly url: string;
  /** How many batches can be in the database at once. */
  readonly lanes?: number;
  /** What a pooler does with sessions; where it is not given, whether one is there is found out. */
  readonly pooler?: PoolerMode | undefined;
}

/** The oldest PostgreSQL on which the test suite runs. */
const VERSION_MIN = 150000;
const LANES_DEFAULT = 2;
/** How many connections wait at most for rows that others have locked; each for one store. */
export const WAITING_LANES_MAX = 4;
export const READERS_MAX = 6;
/** How long a statement outside the write path may take. */
const READER: PoolLimits = { max: READERS_MAX, statementMs: 2_500, queryMs: 4_000 };
const KEY_READER: PoolLimits = { max: 2, statementMs: 1_000, queryMs: 3_000 };
const WORKER: PoolLimits = { max: 2, statementMs: 9_000, queryMs: 12_000 };
/** How long a start may take to connect: a database that sleeps takes seconds to wake. */
const START_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 3_000;

/** How long a flight of statements may take. The database ends each statement before. */
export const FLIGHT_MS_MAX = 3_000;
const STATEMENT_MS_MAX = 2_500;
/** How long a statement of a batch waits for what another has locked, before it goes on without. */
const LOCK_MS_MAX = 100;
/** How long a server that is stopped in the middle of a batch keeps its accounts locked. */
const IDLE_MS_MAX = 2_000;

// The locks of a batch are on a worker, where nothing is set but what Citus passes on: what is set
// for one transaction, with its text, so that each must be a statement of its own.
const PASS_ON = { 'citus.propagate_set_commands': "'local'" };
const PASSED_ON = [
  `set local lock_timeout = ${LOCK_MS_MAX}`,
  `set local idle_in_transaction_session_timeout = ${IDLE_MS_MAX}`,
];

// Statements on a lane are look-ups and writes by key, so scanning whole tables is priced out.
// Their plans do not depend on the values, so they are not made anew for each batch. Citus alone
// needs the values: its plan says on which machine a store is (docs/decisions/0028).
const laneSettings = (hasCitus: boolean, lending: Lending): LaneSettings => ({
  settings: {
    plan_cache_mode: hasCitus ? 'force_custom_plan' : 'force_generic_plan',
    enable_seqscan: 'off',
    enable_bitmapscan: 'off',
    enable_hashjoin: 'off',
    enable_mergejoin: 'off',
    lock_timeout: LOCK_MS_MAX,
    statement_timeout: STATEMENT_MS_MAX,
    idle_in_transaction_session_timeout: IDLE_MS_MAX,
    ...(hasCitus ? PASS_ON : {}),
  },
  begun: hasCitus ? PASSED_ON : [],
  flightMs: FLIGHT_MS_MAX,
  ...lending,
});

// Migrations and proofs read and write whole tables, and take the time that this takes.
const sessionSettings = (lending: Lending): LaneSettings => ({
  settings: { statement_timeout: 0, idle_in_transaction_session_timeout: 0 },
  begun: [],
  flightMs: undefined,
  ...lending,
});

/**
 * Opens PostgreSQL 15 or later.
 *
 * @throws {SetupError} where it cannot be reached or is too old, in one line without secrets.
 */
export async function openPostgres({
  url,
  lanes = LANES_DEFAULT,
  pooler,
}: PostgresOptions): Promise<Engine> {
  const config: pg.ClientConfig = {
    connectionString: url,
    application_name: 'tallystick',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
  const { version, hasCitus, lending } = await checkServer(config, pooler);
  const settings = laneSettings(hasCitus, lending);
  const laneSet = new LaneSet(config, settings, lanes);
  const waitingSet = new LaneSet(config, settings, WAITING_LANES_MAX);
  const reader = new PoolReader(config, READER, lending);
  const keys = new PoolReader(config, KEY_READER, lending);
  const worker = new PoolReader(config, WORKER, lending);
  return {
    kind: 'postgres',
    promise: `PostgreSQL ${version}: what was acknowledged survives a crash and a power cut.`,
    reader,
    keys,
    worker,
    lanes,
    onLane: (work) => laneSet.use(work),
    onWaitingLane: (work) => waitingSet.use(work),
    async onSession(work) {
      const session = new LaneSet(config, sessionSettings(lending), 1);
      try {
        return await session.use(work);
      } finally {
        await session.close();
      }
    },
    async close() {
      const sets = [laneSet.close(), waitingSet.close()];
      await Promise.all([...sets, reader.end(), keys.end(), worker.end()]);
    },
  };
}

/** What a start needs to know of the other side. */
interface Server {
  readonly version: string;
  /** Whether this is the coordinator of a Citus cluster; made later, it needs a restart. */
  readonly hasCitus: boolean;
  readonly lending: Lending;
}

async function checkServer(
  config: pg.ClientConfig,
  pooler: PoolerMode | undefined,
): Promise<Server> {
  const client = new pg.Client({ ...config, connectionTimeoutMillis: START_TIMEOUT_MS });
  client.on('error', () => {});
  const timer = setTimeout(() => cut(client), START_TIMEOUT_MS);
  try {
    await client.connect();
    const { rows } = await client.query(
      `select current_setting('server_version_num')::int as number,
        current_setting('server_version') as text, pg_backend_pid() as pid,
        exists (select 1 from pg_extension where extname = 'citus') as has_citus`,
    );
    if (rows[0].number < VERSION_MIN) {
      throw new SetupError(`PostgreSQL ${rows[0].text} is too old: tallystick needs 15 or later.`);
    }
    // The published types leave the id out. PgBouncer makes it up, for it has no session yet.
    const { processID } = client as unknown as { processID: number };
    const lending = lendingOf(pooler ?? (rows[0].pid === processID ? 'session' : 'transaction'));
    // Where sessions are shared unawares, another server has given this name already.
    await client.query(prepared('select $1::integer as started', [1], lending.named));
    return { version: rows[0].text, hasCitus: rows[0].has_citus, lending };
  } catch (thrown) {
    const error = explained(thrown);
    if (error instanceof SetupError) throw error;
    const cause = error instanceof Error ? error.message || sqlstate(error) : String(error);
    throw new SetupError(
      `PostgreSQL at DATABASE_URL cannot be used: ${cause || 'no answer'}. Check the URL and that the server runs.`,
    );
  } finally {
    clearTimeout(timer);
    await endClient(client);
  }
}
