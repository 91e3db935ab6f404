import pg from 'pg';
import type { Db, Engine, Lane, Result, Statement } from './db.js';
import { SetupError } from './migrate.js';
import { isLost, sqlstate } from './sqlstate.js';

export interface PostgresOptions {
  readonly url: string;
  /** How many batches can be in the database at once. */
  readonly lanes?: number;
}

/** The oldest PostgreSQL on which the test suite runs. */
const VERSION_MIN = 150000;
const LANES_DEFAULT = 2;
const READERS_MAX = 4;
const CONNECT_TIMEOUT_MS = 5_000;

// Statements on a lane are look-ups and writes by key, so scanning whole tables is priced out.
// Their plans do not depend on the values, so they are not made anew for each batch.
const LANE_SETTINGS = `set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_bitmapscan = off;
  set enable_hashjoin = off; set enable_mergejoin = off; set lock_timeout = '10s'; set statement_timeout = '60s';
  set idle_in_transaction_session_timeout = '60s'`;

// A plan that is cached while a table is empty may use an index by its first column alone, and
// goes on reading the whole store through it when the table is large. So a lane forgets its plans
// as the tables grow: after 8 uses, 16, 32 and so on, and then regularly.
const REPLAN_FIRST = 8;
const REPLAN_EVERY = 4096;

// A reader plans each time: it costs a tenth of a millisecond, and pages stay fast at any size.
const READER_SETTINGS = `set plan_cache_mode = force_custom_plan; set statement_timeout = '60s'`;

/**
 * Opens PostgreSQL 15 or later.
 *
 * @throws {SetupError} where it cannot be reached or is too old, in one line without secrets.
 */
export async function openPostgres({
  url,
  lanes = LANES_DEFAULT,
}: PostgresOptions): Promise<Engine> {
  const config: pg.ClientConfig = {
    connectionString: url,
    application_name: 'tallystick',
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
  // The pool waits for this, where a listener of its `connect` event would send a statement into a
  // connection that is about to be busy with another.
  const pool = new pg.Pool({
    ...config,
    max: READERS_MAX,
    onConnect: (client) => client.query(READER_SETTINGS),
  });
  // A reader that breaks while idle is replaced by the pool; without a listener it would throw.
  pool.on('error', () => {});
  const version = await checkServer(pool);
  const laneSet = new LaneSet(config, lanes);
  return {
    kind: 'postgres',
    promise: `PostgreSQL ${version}: what was acknowledged survives a crash and a power cut.`,
    reader: { query: (text, values) => pool.query(prepared(text, values)) },
    lanes,
    onLane: (work) => laneSet.use(work),
    async close() {
      await Promise.all([laneSet.close(), pool.end()]);
    },
  };
}

async function checkServer(pool: pg.Pool): Promise<string> {
  try {
    const { rows } = await pool.query(
      "select current_setting('server_version_num')::int as number, current_setting('server_version') as text",
    );
    if (rows[0].number < VERSION_MIN) {
      throw new SetupError(`PostgreSQL ${rows[0].text} is too old: tallystick needs 15 or later.`);
    }
    return rows[0].text;
  } catch (error) {
    await pool.end();
    if (error instanceof SetupError) throw error;
    const cause = error instanceof Error ? error.message || sqlstate(error) : String(error);
    throw new SetupError(
      `PostgreSQL at DATABASE_URL cannot be used: ${cause || 'no answer'}. Check the URL and that the server runs.`,
    );
  }
}

const statementNames = new Map<string, string>();

/** Statements are few and constant, so each is prepared once on each connection, under a name. */
function prepared(text: string, values: unknown[] | undefined): pg.QueryConfig {
  if (values === undefined) return { text };
  let name = statementNames.get(text);
  if (name === undefined) {
    name = `tallystick_${statementNames.size}`;
    statementNames.set(text, name);
  }
  return { name, text, values };
}

/** A fixed number of pipelined connections, each lent to one piece of work at a time. */
class LaneSet {
  readonly #config: pg.ClientConfig;
  readonly #free: PostgresLane[] = [];
  readonly #waiting: ((lane: PostgresLane | undefined) => void)[] = [];
  #room: number;

  constructor(config: pg.ClientConfig, size: number) {
    this.#config = config;
    this.#room = size;
  }

  async use<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.#take();
    try {
      lane.replanWhenGrown();
      return await work(lane);
    } catch (error) {
      if (isLost(error)) await lane.destroy();
      else await lane.query('rollback').catch(() => lane.destroy());
      throw error;
    } finally {
      this.#give(lane);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map((lane) => lane.destroy()));
  }

  async #take(): Promise<PostgresLane> {
    const free = this.#free.pop();
    if (free?.usable) return free;
    if (free === undefined && this.#room === 0) {
      const handed = await new Promise<PostgresLane | undefined>((resolve) => {
        this.#waiting.push(resolve);
      });
      if (handed !== undefined) return handed;
    } else if (free === undefined) {
      this.#room--;
    }
    try {
      return await PostgresLane.connect(this.#config);
    } catch (error) {
      this.#makeRoom();
      throw error;
    }
  }

  #give(lane: PostgresLane): void {
    if (!lane.usable) {
      this.#makeRoom();
      return;
    }
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(lane);
    else next(lane);
  }

  /** Lets a waiter, or else a later caller, open a connection in place of one that is gone. */
  #makeRoom(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#room++;
    else next(undefined);
  }
}

class PostgresLane implements Lane, Db {
  readonly #client: pg.Client;
  #lost = false;
  #uses = 0;
  #replanAt = REPLAN_FIRST;

  private constructor(client: pg.Client) {
    this.#client = client;
    const lose = () => {
      this.#lost = true;
    };
    client.on('error', lose);
    client.on('end', lose);
  }

  static async connect(config: pg.ClientConfig): Promise<PostgresLane> {
    // The option is newer than the published types.
    const client = new pg.Client({ ...config, pipeline: true } as pg.ClientConfig);
    const lane = new PostgresLane(client);
    await client.connect();
    await client.query(LANE_SETTINGS);
    return lane;
  }

  get usable(): boolean {
    return !this.#lost;
  }

  /** Sends its statement ahead of the next ones, without waiting for an answer. */
  replanWhenGrown(): void {
    this.#uses++;
    if (this.#uses !== this.#replanAt) return;
    this.#replanAt += Math.min(Math.max(this.#uses, REPLAN_FIRST), REPLAN_EVERY);
    // Where the connection is gone, the work that follows meets the same error.
    this.#client.query('discard plans').catch(() => {});
  }

  async query(text: string, values?: unknown[]): Promise<Result> {
    return this.#client.query(prepared(text, values));
  }

  async flight(statements: readonly Statement[]): Promise<Result[]> {
    const sent = statements.map(({ text, values }) => this.query(text, values));
    const answers = await Promise.allSettled(sent);
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return answers.map((answer) => (answer as PromiseFulfilledResult<Result>).value);
  }

  async destroy(): Promise<void> {
    this.#lost = true;
    await this.#client.end().catch(() => {});
  }
}
