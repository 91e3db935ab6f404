import pg from 'pg';
import type { Db, Result } from './db.js';
import { cut } from './lanes.js';
import { explained, prepared } from './prepared.js';
import { type Lending, runAlone, type Settings, setSession } from './settings.js';
import { isConflict, isLost } from './sqlstate.js';

/** Times are in milliseconds. */
export interface PoolLimits {
  /** How many connections there are. */
  readonly max: number;
  /** The database ends a statement that takes longer. */
  readonly statementMs: number;
  /** For a query in all: waiting for a connection, and trying again on another one, included. */
  readonly queryMs: number;
}

/** What answers no sooner than this after the database has ended it is not going to answer. */
const SILENT_MS = 250;
const LOCK_MS_MAX = 1_000;
const TRIES_MAX = 20;

/** What changes something may have been carried out although no answer came. */
function isRead(text: string): boolean {
  return /^\s*select\b/i.test(text);
}

/** No answer came from a connection that is open. */
class SilentError extends Error {
  readonly code = '08006';

  constructor(cause: unknown) {
    super('The database did not answer.', { cause });
  }
}

/**
 * Single statements on a few connections. Each is a transaction of its own, so one that another
 * has undone, as it happens at REPEATABLE READ and SERIALIZABLE, is run again.
 *
 * @throws an error that `isLost` knows where no answer came in time.
 */
export class PoolReader implements Db {
  readonly #config: pg.PoolConfig;
  readonly #limits: PoolLimits;
  /** What each statement brings along where a session is not its connection's own. */
  readonly #brought: Settings | undefined;
  readonly #named: boolean;
  #pool: pg.Pool;

  constructor(config: pg.ClientConfig, limits: PoolLimits, { pooled, named }: Lending) {
    // A reader plans each time: it costs a tenth of a millisecond, and pages stay fast at any size.
    const settings: Settings = {
      plan_cache_mode: 'force_custom_plan',
      lock_timeout: LOCK_MS_MAX,
      statement_timeout: limits.statementMs,
    };
    this.#limits = limits;
    this.#named = named;
    this.#brought = pooled ? settings : undefined;
    // The pool waits for `onConnect`, where a listener of its `connect` event would send a
    // statement into a connection that is about to be busy with another.
    const onConnect = (client: pg.ClientBase) => client.query(setSession(settings));
    this.#config = {
      ...config,
      max: limits.max,
      connectionTimeoutMillis: limits.statementMs,
      // The option of pipelines is newer than the published types.
      ...(pooled ? ({ pipeline: true } as pg.PoolConfig) : { onConnect }),
    };
    this.#pool = poolOf(this.#config);
  }

  async query(text: string, values?: unknown[]): Promise<Result> {
    const deadline = performance.now() + this.#limits.queryMs;
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(text, values, deadline);
      } catch (error) {
        const mayPass = isConflict(error) || (error instanceof SilentError && isRead(text));
        if (!mayPass || tries === TRIES_MAX || performance.now() > deadline) {
          throw explained(error);
        }
      }
    }
  }

  async #once(text: string, values: unknown[] | undefined, deadline: number): Promise<Result> {
    const pool = this.#pool;
    const client = await pool.connect();
    const left = Math.min(this.#limits.statementMs + SILENT_MS, deadline - performance.now());
    let silent = false;
    // See `PostgresLane`: nobody closes a connection on which packets vanish.
    const timer = setTimeout(() => {
      silent = true;
      cut(client);
      this.#renew(pool);
    }, left);
    try {
      const result = await this.#send(client, text, values);
      client.release();
      return result;
    } catch (error) {
      client.release(isLost(error));
      throw silent ? new SilentError(error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  #send(client: pg.PoolClient, text: string, values: unknown[] | undefined): Promise<Result> {
    const statement = prepared(text, values, this.#named);
    return this.#brought === undefined
      ? client.query(statement)
      : runAlone(client, statement, this.#brought);
  }

  /** Where one connection is silent, the others that rest in the pool are likely to be as well. */
  #renew(pool: pg.Pool): void {
    if (this.#pool !== pool) return;
    this.#pool = poolOf(this.#config);
    void pool.end();
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

function poolOf(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  // One that breaks is replaced by the pool; without a listener it would throw.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}
