import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/until.js';
import { call, KEY } from '../webhooks/harness.js';
import { Api } from './api.js';
import { Blocker } from './blocker.js';
import {
  Cluster,
  POSTGRES_BINARIES,
  run,
  start,
  startServer,
  temporaryDirectory,
} from './harness.js';

/** A ledger moves from PGlite to PostgreSQL and back as docs/moving.md says, over kills. */

const TALLYSTICK_SECRET_KEY = Buffer.alloc(32, 0xa).toString('base64');
const sealed = { TALLYSTICK_SECRET_KEY };
const served = { ...sealed, TALLYSTICK_API_KEY: KEY };

/** All rows of a file. The line before has the time, the one after them the checksum. */
const rowsOf = (path: string) => {
  return gunzipSync(readFileSync(path)).toString().trimEnd().split('\n').slice(1, -1);
};

describe.skipIf(POSTGRES_BINARIES === undefined)('a ledger on its way', () => {
  let cluster: Cluster;
  let folder: string;
  let embedded: { TALLYSTICK_DATA_DIR: string };
  let postgres: { DATABASE_URL: string };
  let webhook: string;
  /** What callers are told, which must be the same everywhere. */
  let before: unknown[];

  beforeAll(async () => {
    cluster = await Cluster.start();
    folder = temporaryDirectory();
    embedded = { TALLYSTICK_DATA_DIR: join(folder, 'data') };
    postgres = { DATABASE_URL: await cluster.database() };
  });
  afterAll(() => cluster?.stop());

  /** Serves a database for a moment. */
  async function serving<T>(settings: Record<string, string>, ask: (url: string) => Promise<T>) {
    const server = await startServer(settings);
    try {
      return await ask(server.url);
    } finally {
      await server.kill('SIGTERM');
    }
  }

  let account: string;
  const ask = async (url: string) => {
    const api = new Api(url, KEY);
    const { body } = await api.get(`/accounts/${account}/entries`);
    const instants = body.data.map(({ created_at }: { created_at: string }) => created_at);
    return [
      body,
      (await api.get(`/accounts/${account}/balance`)).body,
      ...(
        await Promise.all(
          instants.map((at: string) => api.get(`/accounts/${account}/balance?at=${at}`)),
        )
      ).map((answer) => answer.body),
      (await call(url, 'GET', `/v1/webhooks/${webhook}/secret`)).body,
    ];
  };

  test('goes from PGlite to PostgreSQL by the two commands of the README', async () => {
    before = await serving({ ...embedded, ...served }, async (url) => {
      const api = new Api(url, KEY);
      account = await api.open('moved', '10');
      webhook = (await call(url, 'POST', '/v1/webhooks', { delivery_mode: 'cli' })).body.id;
      for (const key of ['a', 'b']) {
        const body = { amount: '3', reference: 'r', idempotency_key: key };
        expect((await api.post(`/accounts/${account}/debit`, body)).status).toBe(201);
      }
      return ask(url);
    });
    const file = join(folder, 'ledger.gz');
    const exported = await run(['export', file], embedded);
    expect([exported.code, exported.stdout]).toEqual([
      0,
      `Exported ${exported.stdout.split(' ')[1]} rows to ${file}.\n`,
    ]);
    const imported = await run(['import', file], { ...postgres, ...sealed });
    expect([imported.code, imported.stderr]).toEqual([0, '']);
    expect(imported.stdout).toMatch(/^Imported \d+ rows from .*\.\nClean: /);
    expect(await serving({ ...postgres, ...served }, ask)).toEqual(before);
  });

  test('is exported and imported over kills, and every row is the same', async () => {
    // More than one transaction of an import takes.
    const many = `insert into tallystick.accounts (store_id, account_id, customer_id, name,
        name_key, unit_label, status, balance, version, created_at, updated_at, posted_at)
      select store_id, gen_random_uuid(), 'c' || n, 'a', 'a', 'u', 'active', 0, 0, now(), now(),
        now() from tallystick.stores, generate_series(1, 25000) as n`;
    await cluster.sql(many, postgres.DATABASE_URL);

    const file = join(folder, 'all.gz');
    const reading = await Blocker.start(postgres.DATABASE_URL, 'holds', 'access exclusive');
    const exporting = start(['export', file], postgres);
    await until('the export waits', async () => (await reading.waiting()) > 0);
    await exporting.kill();
    await reading.end();
    expect([existsSync(file), existsSync(`${file}.partial`)]).toEqual([false, true]);
    expect((await run(['export', file], postgres)).code).toBe(0);
    expect(existsSync(`${file}.partial`)).toBe(false);

    const target = { DATABASE_URL: await cluster.database() };
    expect((await run(['migrate'], target)).code).toBe(0);
    const writing = await Blocker.start(target.DATABASE_URL, 'api_keys');
    const importing = start(['import', file], target);
    await until('the import waits', async () => (await writing.waiting()) > 0);
    await importing.kill();
    await writing.end();

    const told =
      /^tallystick: An import into this database is not finished\. Run tallystick import/;
    for (const command of [['serve'], ['verify'], ['keys', 'create'], ['export', 'no.gz']]) {
      const { code, stderr } = await run(command, target, folder);
      expect([code, stderr.trimEnd().split('\n').length, stderr]).toEqual([
        3,
        1,
        expect.stringMatching(told),
      ]);
    }
    expect((await run(['doctor'], target)).stdout).toMatch(/^fail schema: An import/m);
    const other = await run(['import', join(folder, 'ledger.gz')], target);
    expect(other.stderr).toMatch(/^tallystick: An import of another file than /);

    const { code, stdout } = await run(['import', file, '--json'], { ...target, ...sealed });
    const { rows, skipped, verify } = JSON.parse(stdout);
    expect([code, verify.clean, rows.transactions]).toEqual([0, true, 3]);
    expect(rows.accounts).toBe(25_001);
    expect(skipped).toBeGreaterThan(15_000);
    const again = join(folder, 'again.gz');
    expect((await run(['export', again], target)).code).toBe(0);
    expect(rowsOf(again)).toEqual(rowsOf(file));
  });

  test('goes back to PGlite, where another key for secrets is told of', async () => {
    const back = { TALLYSTICK_DATA_DIR: join(temporaryDirectory(), 'data') };
    const file = join(folder, 'ledger.gz');
    const cut = await run(['import', join(folder, 'none.gz')], back);
    expect([cut.code, cut.stderr]).toEqual([1, expect.stringContaining('There is no file')]);
    expect(existsSync(back.TALLYSTICK_DATA_DIR)).toBe(false);

    const other = { TALLYSTICK_SECRET_KEY: Buffer.alloc(32, 0xb).toString('hex') };
    const imported = await run(['import', file], { ...back, ...other });
    expect([imported.code, imported.stderr]).toEqual([
      0,
      expect.stringMatching(/^Signing secrets: 1 of 1 webhooks cannot sign; wh_\w+: .*\n$/),
    ]);
    // Nothing was lost: with the right key all is as it was.
    expect(await serving({ ...back, ...served }, ask)).toEqual(before);
  });
});
