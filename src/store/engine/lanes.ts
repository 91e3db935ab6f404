import pg from 'pg';
import { Lane, type Result, type Statement } from './db.js';
import { explained, prepared } from './prepared.js';
import {
  allAnswered,
  beginWith,
  type Lending,
  runAlone,
  type Settings,
  setSession,
} from './settings.js';
import { isLost } from './sqlstate.js';

/** What a connection is set to, and for how long its answers are waited for. */
export interface LaneSettings extends Lending {
  readonly settings: Settings;
  /** What is sent after each begin, one statement each. */
  readonly begun: readonly string[];
  /** In milliseconds; undefined where work may take any time. */
  readonly flightMs: number | undefined;
}

// A plan that is cached while a table is empty may use an index by its first column alone, and
// goes on reading the whole store through it when the table is large. So a lane forgets its plans
// as the tables grow: after 8 uses, 16, 32 and so on, and then regularly.
const REPLAN_FIRST = 8;
const REPLAN_EVERY = 4096;

/** How long a connection that is given up may take to say goodbye. */
const GOODBYE_MS_MAX = 500;

/** A fixed number of pipelined connections, each lent to one piece of work at a time. */
export class LaneSet {
  readonly #config: pg.ClientConfig;
  readonly #settings: LaneSettings;
  readonly #free: PostgresLane[] = [];
  readonly #waiting: ((lane: PostgresLane | undefined) => void)[] = [];
  #room: number;

  constructor(config: pg.ClientConfig, settings: LaneSettings, size: number) {
    this.#config = config;
    this.#settings = settings;
    this.#room = size;
  }

  async use<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.#take();
    try {
      lane.replanWhenGrown();
      return await work(lane);
    } catch (error) {
      if (isLost(error)) lane.cut();
      else await lane.rollback().catch(() => lane.cut());
      throw error;
    } finally {
      this.#give(lane);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map((lane) => lane.end()));
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
      return await PostgresLane.connect(this.#config, this.#settings);
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

class PostgresLane extends Lane {
  readonly #client: pg.Client;
  readonly #settings: LaneSettings;
  #lost = false;
  /** Whether a transaction has begun and not ended; known behind a pooler only. */
  #isInside = false;
  #uses = 0;
  #replanAt = REPLAN_FIRST;

  private constructor(client: pg.Client, settings: LaneSettings) {
    super((statements) => this.#sendAll(statements));
    this.#client = client;
    this.#settings = settings;
    const lose = () => {
      this.#lost = true;
    };
    client.on('error', lose);
    client.on('end', lose);
  }

  static async connect(config: pg.ClientConfig, settings: LaneSettings): Promise<PostgresLane> {
    // The option is newer than the published types.
    const client = new pg.Client({ ...config, pipeline: true } as pg.ClientConfig);
    const lane = new PostgresLane(client, settings);
    await client.connect();
    if (!settings.pooled) await lane.query(setSession(settings.settings));
    return lane;
  }

  get usable(): boolean {
    return !this.#lost;
  }

  /** Sends its statement ahead of the next ones, without waiting for an answer. */
  replanWhenGrown(): void {
    if (!this.#settings.named) return;
    this.#uses++;
    if (this.#uses !== this.#replanAt) return;
    this.#replanAt += Math.min(Math.max(this.#uses, REPLAN_FIRST), REPLAN_EVERY);
    // Where the connection is gone, the work that follows meets the same error.
    this.#client.query('discard plans').catch(() => {});
  }

  async #send(text: string, values?: unknown[]): Promise<Result> {
    const { pooled, named } = this.#settings;
    const statement = prepared(text, values, named);
    try {
      if (/^begin\b/.test(text)) return await this.#begin(text);
      return await (pooled ? this.#sendPooled(statement) : this.#client.query(statement));
    } catch (error) {
      throw explained(error);
    }
  }

  async #begin(text: string): Promise<Result> {
    const { pooled, settings, begun } = this.#settings;
    this.#isInside = true;
    const whole = [pooled ? beginWith(text, settings) : text, ...begun];
    const [result] = await allAnswered(whole.map((own) => this.#client.query(own)));
    return result!;
  }

  /** What is set in a session would be another's there, so each transaction brings it along. */
  #sendPooled(statement: pg.QueryConfig): Promise<Result> {
    const { settings } = this.#settings;
    const { text } = statement;
    if (text === 'commit' || text === 'rollback') {
      this.#isInside = false;
    } else if (!this.#isInside) {
      return runAlone(this.#client, statement, settings);
    }
    return this.#client.query(statement);
  }

  #sendAll(statements: readonly Statement[]): Promise<Result[]> {
    return this.#inTime(() =>
      allAnswered(statements.map(({ text, values }) => this.#send(text, values))),
    );
  }

  /**
   * Where packets vanish nobody closes the connection, so that an answer would be waited for as
   * long as the system's own timers allow, which is minutes. Cutting it fails what is waited for.
   */
  async #inTime<T>(work: () => Promise<T>): Promise<T> {
    const { flightMs } = this.#settings;
    if (flightMs === undefined) return work();
    const timer = setTimeout(() => this.cut(), flightMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  cut(): void {
    this.#lost = true;
    cut(this.#client);
  }

  async end(): Promise<void> {
    this.#lost = true;
    await endClient(this.#client);
  }
}

/** Says goodbye, and does not wait long for the answer. */
export async function endClient(client: pg.ClientBase): Promise<void> {
  const timer = setTimeout(() => cut(client), GOODBYE_MS_MAX);
  await (client as pg.Client).end().catch(() => {});
  clearTimeout(timer);
}

/** Closes a connection at once, whatever the other side does. */
export function cut(client: pg.ClientBase): void {
  // The published types leave the connection out.
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
  connection.stream.destroy();
}
