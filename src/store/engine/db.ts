/**
 * The database port. A `pg` pool or client and PGlite already have the shape of `Db`; everything
 * else that speaks PostgreSQL needs an adapter of a few lines.
 */
export interface Db {
  query(text: string, values?: unknown[]): Promise<Result>;
}

export interface Result {
  // biome-ignore lint/suspicious/noExplicitAny: a driver's row has whatever the statement selects.
  readonly rows: any[];
}

export interface Statement {
  readonly text: string;
  readonly values?: unknown[];
}

/** Statements by the names of what they answer; those that are undefined are not sent. */
export type Flight = Readonly<Record<string, Statement | undefined>>;

/** The answers to a flight, by the same names. */
export type Answers<Sent extends Flight> = {
  readonly [Name in keyof Sent]: Sent[Name] extends Statement ? Result : Result | undefined;
};

/**
 * A connection of one's own: what is sent on it runs in order, in one session. How transactions
 * begin and end is said here alone, so that work on a lane need not know whose transaction it is.
 */
export class Lane implements Db {
  /**
   * Sends all statements before waiting for the first answer.
   *
   * @throws the error of the first statement that failed, once all have been answered.
   */
  readonly send: (statements: readonly Statement[]) => Promise<Result[]>;

  constructor(send: (statements: readonly Statement[]) => Promise<Result[]>) {
    this.send = send;
  }

  async query(text: string, values?: unknown[]): Promise<Result> {
    const [result] = await this.send([values === undefined ? { text } : { text, values }]);
    return result!;
  }

  /** @throws as `send` does. */
  flight<Sent extends Flight>(flight: Sent): Promise<Answers<Sent>> {
    return this.#fly([], flight, []);
  }

  /** Begins a transaction with these statements. */
  begin<Sent extends Flight>(flight: Sent): Promise<Answers<Sent>> {
    return this.#fly([BEGIN], flight, []);
  }

  /** Ends the transaction with these statements, and commits it. */
  commit<Sent extends Flight>(flight: Sent): Promise<Answers<Sent>> {
    return this.#fly([], flight, [COMMIT]);
  }

  /** A transaction of these statements and nothing else. */
  transaction<Sent extends Flight>(flight: Sent): Promise<Answers<Sent>> {
    return this.#fly([BEGIN], flight, [COMMIT]);
  }

  /** Ends the transaction, and undoes it. */
  async rollback(): Promise<void> {
    await this.send([ROLLBACK]);
  }

  async #fly<Sent extends Flight>(
    before: readonly Statement[],
    flight: Sent,
    after: readonly Statement[],
  ): Promise<Answers<Sent>> {
    const named = Object.entries(flight).filter((one): one is [string, Statement] => {
      return one[1] !== undefined;
    });
    const results = await this.send([...before, ...named.map(([, sent]) => sent), ...after]);
    const answers = named.map(([name], index) => [name, results[before.length + index]!]);
    return Object.fromEntries(answers) as Answers<Sent>;
  }
}

/** A batch is right at any level; at this one it sees, after its locks, all that was committed. */
const BEGIN: Statement = { text: 'begin isolation level read committed' };
const COMMIT: Statement = { text: 'commit' };
const ROLLBACK: Statement = { text: 'rollback' };

/** A database that the ledger owns connections to. Whatever waits for it ends by a time-out. */
export interface Engine {
  readonly kind: 'postgres' | 'pglite';
  /** One line for people: which engine holds the data, and what it promises. */
  readonly promise: string;
  /** For single statements of requests. Each ends within `READ_MS_MAX`. */
  readonly reader: Db;
  /** The same for keys and probes, apart, so that no store's requests can keep others out. */
  readonly keys: Db;
  /** The same for what runs beside requests, such as sweeps and deliveries. */
  readonly worker: Db;
  /** How many lanes can work at the same time. */
  readonly lanes: number;
  /**
   * Lends a lane to `work` alone, and takes it out of use if its connection broke. A flight ends
   * within `FLIGHT_MS_MAX`.
   */
  onLane<T>(work: (lane: Lane) => Promise<T>): Promise<T>;
  /** The same apart from the lanes, for work that waits for what others have locked. */
  onWaitingLane<T>(work: (lane: Lane) => Promise<T>): Promise<T>;
  /** Lends a session without limits of time to a command such as migrate or verify. */
  onSession<T>(work: (lane: Lane) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A lane over a plain connection, such as one in the caller's own transaction. */
export function laneOver(db: Db): Lane {
  return new Lane(async (statements) => {
    const results: Result[] = [];
    for (const { text, values } of statements) results.push(await db.query(text, values));
    return results;
  });
}

/**
 * Writes one column of rows as a PostgreSQL array literal, for values that need no quoting: ids,
 * numbers and times. It costs a tenth of what a driver spends on an array of strings.
 */
export function plainColumn<Row>(
  rows: readonly Row[],
  value: (row: Row) => string | number | bigint | null,
): string {
  let text = '{';
  for (let i = 0; i < rows.length; i++) {
    if (i > 0) text += ',';
    text += value(rows[i]!) ?? 'NULL';
  }
  return `${text}}`;
}

/** Writes one column of rows as a PostgreSQL array literal, for any text. */
export function textColumn<Row>(rows: readonly Row[], value: (row: Row) => string | null): string {
  let text = '{';
  for (let i = 0; i < rows.length; i++) {
    const item = value(rows[i]!);
    if (i > 0) text += ',';
    if (item === null) text += 'NULL';
    else text += NEEDS_ESCAPE.test(item) ? `"${item.replace(ESCAPED, '\\$&')}"` : `"${item}"`;
  }
  return `${text}}`;
}

/** Writes one column of rows as a PostgreSQL array literal of JSON values. */
export function jsonColumn<Row>(rows: readonly Row[], value: (row: Row) => unknown): string {
  let text = '{';
  for (let i = 0; i < rows.length; i++) {
    const item = value(rows[i]!);
    if (i > 0) text += ',';
    text += item === null ? 'NULL' : `"${JSON.stringify(item).replace(ESCAPED, '\\$&')}"`;
  }
  return `${text}}`;
}

const NEEDS_ESCAPE = /["\\]/;
const ESCAPED = /["\\]/g;

export function plainArray(values: readonly (string | number | bigint | null)[]): string {
  return plainColumn(values, (value) => value);
}

export function textArray(values: readonly string[]): string {
  return textColumn(values, (value) => value);
}
