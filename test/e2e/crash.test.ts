import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomFrom, seedOf } from '../harness/seed.js';
import { until } from '../harness/until.js';
import { Api, KEY, Load } from './api.js';
import {
  Cluster,
  ENGINES,
  embeddedDirectory,
  POSTGRES_BINARIES,
  run,
  type ServerProcess,
  startServer,
} from './harness.js';

/**
 * What was acknowledged is there once, and what is sent again with its key is there once,
 * whoever crashes: the server by SIGKILL, PostgreSQL by an immediate restart, or connections.
 */

const START = 1_000_000;
const ACCOUNTS = 8;

async function openAccounts(api: Api): Promise<string[]> {
  return Promise.all(
    Array.from({ length: ACCOUNTS }, (_, i) => api.open(`account ${i}`, String(START))),
  );
}

async function expectSound(load: Load, api: Api, accounts: readonly string[]): Promise<void> {
  expect(load.wrong).toEqual([]);
  expect(await load.missing(api)).toEqual([]);
  for (const account of accounts) {
    expect(await api.balance(account)).toBe(load.expected(account, START));
  }
}

async function expectClean(settings: Record<string, string>): Promise<void> {
  const { code, stdout } = await run(['verify', '--json'], settings);
  expect(JSON.parse(stdout)).toMatchObject({ clean: true, differences: [] });
  expect(code).toBe(0);
}

describe.each(ENGINES)('the server is killed on %s', (engine) => {
  let cluster: Cluster | undefined;
  let settings: Record<string, string>;

  beforeAll(async () => {
    if (engine === 'PostgreSQL') {
      cluster = await Cluster.start();
      settings = { DATABASE_URL: await cluster.database() };
    } else {
      settings = { TALLYSTICK_DATA_DIR: embeddedDirectory() };
    }
  });

  afterAll(() => cluster?.stop());

  test('in three rounds under load, nothing is lost or done twice', async () => {
    const random = randomFrom(seedOf('a load of writes'));
    const withKey = { ...settings, TALLYSTICK_API_KEY: KEY };
    let server = await startServer(withKey);
    let api = new Api(server.url, KEY);
    const accounts = await openAccounts(api);
    const load = new Load(accounts, random);
    for (let round = 0; round < 3; round++) {
      const goal = load.acknowledged + 50 + random(200);
      load.start(api, { untilRefused: true });
      await until('enough is acknowledged', () => load.acknowledged >= goal);
      await server.kill('SIGKILL');
      await load.stop();
      server = await startServer(withKey);
      api = new Api(server.url, KEY);
      await load.retry(api);
    }
    await expectSound(load, api, accounts);
    expect((await server.kill('SIGTERM')).code).toBe(0);
    await expectClean(settings);
  });
});

describe.skipIf(POSTGRES_BINARIES === undefined)('the database goes away', () => {
  let cluster: Cluster;
  let settings: Record<string, string>;
  let server: ServerProcess;

  beforeAll(async () => {
    cluster = await Cluster.start();
    settings = { DATABASE_URL: await cluster.database() };
    server = await startServer({ ...settings, TALLYSTICK_API_KEY: KEY });
  });

  afterAll(async () => {
    await server.kill('SIGKILL');
    await cluster.stop();
  });

  test('callers see success or 503, and the server recovers by itself', async () => {
    const api = new Api(server.url, KEY);
    const accounts = await openAccounts(api);
    const load = new Load(accounts, randomFrom(seedOf('a load of writes')));
    load.start(api, { untilRefused: false });
    const progress = async () => {
      const goal = load.acknowledged + 100;
      await until('the server goes on', () => load.acknowledged >= goal);
    };
    await progress();
    for (let i = 0; i < 5; i++) {
      await cluster.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tallystick'",
      );
      await progress();
    }
    for (let i = 0; i < 2; i++) {
      await cluster.crashAndRestart();
      await progress();
    }
    await load.stop();
    await load.retry(api);
    await expectSound(load, api, accounts);
    await expectClean(settings);
  });

  test('while it is down, reads and writes are 503 with Retry-After, and the probe says so', async () => {
    const api = new Api(server.url, KEY);
    const account = await api.open('while it is down', '5');
    await cluster.halt();
    const move = { amount: '1', reference: 'r', idempotency_key: 'while down' };
    const answers = await Promise.all([
      api.get(`/accounts/${account}`),
      api.post(`/accounts/${account}/debit`, move),
      api.post(`/accounts/${account}/freeze`),
    ]);
    for (const { status, headers, body } of answers) {
      expect([status, headers.get('retry-after'), body.error.code]).toEqual([
        503,
        '1',
        'unavailable',
      ]);
    }
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${server.url}/livez`)).status).toBe(200);
    await cluster.resume();
    await until('the server is ready', async () => (await fetch(`${server.url}/readyz`)).ok);
    expect((await api.post(`/accounts/${account}/debit`, move)).status).toBe(201);
    expect(await api.balance(account)).toBe('4');
  });
});
