import pg from 'pg';

/** Holds a lock in a database that lets nothing be written, until it ends. */
export class Blocker {
  readonly #client: pg.Client;

  private constructor(url: string) {
    this.#client = new pg.Client(url);
    // Its cluster may be stopped under it by a test that has failed.
    this.#client.on('error', () => {});
  }

  static async start(url: string): Promise<Blocker> {
    const blocker = new Blocker(url);
    await blocker.#client.connect();
    await blocker.#client.query('begin');
    await blocker.#client.query('lock table tallystick.accounts in exclusive mode');
    return blocker;
  }

  /** How many others wait for it. */
  async waiting(): Promise<number> {
    const { rows } = await this.#client.query(
      "select count(*)::int as n from pg_locks where not granted and relation = 'tallystick.accounts'::regclass",
    );
    return rows[0].n;
  }

  async end(): Promise<void> {
    await this.#client.query('commit');
    await this.#client.end();
  }
}
