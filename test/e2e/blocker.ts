import pg from 'pg';

/** Holds a lock on a table that lets nothing be written there, or read either, until it ends. */
export class Blocker {
  readonly #client: pg.Client;
  readonly #table: string;

  private constructor(url: string, table: string) {
    this.#table = `tallystick.${table}`;
    this.#client = new pg.Client(url);
    // Its cluster may be stopped under it by a test that has failed.
    this.#client.on('error', () => {});
  }

  static async start(
    url: string,
    table = 'accounts',
    mode: 'exclusive' | 'access exclusive' = 'exclusive',
  ): Promise<Blocker> {
    const blocker = new Blocker(url, table);
    await blocker.#client.connect();
    await blocker.#client.query('begin');
    await blocker.#client.query(`lock table ${blocker.#table} in ${mode} mode`);
    return blocker;
  }

  /** How many others wait for it. */
  async waiting(): Promise<number> {
    const { rows } = await this.#client.query(
      `select count(*)::int as n from pg_locks
        where not granted and relation = '${this.#table}'::regclass`,
    );
    return rows[0].n;
  }

  async end(): Promise<void> {
    await this.#client.query('commit');
    await this.#client.end();
  }
}
