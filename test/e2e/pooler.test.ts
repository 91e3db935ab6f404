import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NEWEST } from '../../src/store/schema/migrate.js';
import type { Cluster } from '../harness/cluster.js';
import { databaseUrl, onServer } from '../harness/database.js';
import { POSTGRES, type TestDatabase } from '../harness/engines.js';
import { HAS_PGBOUNCER, startPooler } from '../harness/pgbouncer.js';
import { until } from '../harness/until.js';
import { call, startReceiver } from '../webhooks/harness.js';
import { Api, KEY } from './api.js';
import { run, type ServerProcess, startServer, temporaryDirectory } from './harness.js';

/** Real servers and commands behind a real PgBouncer, of whose mode nobody tells them. */

const possible = HAS_PGBOUNCER && POSTGRES.available;
const reason = possible ? '' : ' (skipped: needs pgbouncer and PostgreSQL)';
const MODES = [
  { mode: 'transaction', sessions: 6 },
  { mode: 'session', sessions: 60 },
] as const;

describe.skipIf(!possible).each(MODES)(`behind pgbouncer, $mode mode${reason}`, (options) => {
  const { mode, sessions } = options;
  let server: TestDatabase;
  const created: string[] = [];
  let pooler: Cluster;
  let settings: Record<string, string>;
  let servers: ServerProcess[];
  let apis: Api[];
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let account: string;

  /** An empty database, as the pooler shows it. */
  async function createDatabase(): Promise<string> {
    const name = `pooled_${mode}_${process.pid}_${created.length}`;
    await onServer(server.direct!, `create database ${name}`);
    created.push(name);
    return databaseUrl(pooler.url, name);
  }

  beforeAll(async () => {
    server = await POSTGRES.create();
    pooler = await startPooler(server.direct!, mode, { sessions });
    receiver = await startReceiver();
    settings = {
      DATABASE_URL: await createDatabase(),
      TALLYSTICK_API_KEY: KEY,
      TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1',
      LOG_LEVEL: 'silent',
    };
  });

  afterAll(async () => {
    await Promise.all((servers ?? []).map((each) => each.kill('SIGKILL')));
    await receiver.close();
    await pooler.stop();
    for (const name of created)
      await onServer(server.direct!, `drop database ${name} with (force)`);
    await server.drop();
  });

  const debit = (api: Api, key: string) =>
    api.post(`/accounts/${account}/debit`, { amount: '1', reference: 'r', idempotency_key: key });

  test('two programs migrate an empty database at once', async () => {
    const both = await Promise.all([run(['migrate'], settings), run(['migrate'], settings)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    // What one of them has applied the other has not.
    const applied = both.flatMap(({ stdout }) => stdout.match(/\d{4}_\w+/g) ?? []);
    expect(applied.sort()).toEqual([...new Set(applied)]);
    expect(applied.length).toBe(NEWEST);
  });

  test('two servers write, and all of it is told', async () => {
    servers = await Promise.all([startServer(settings), startServer(settings)]);
    apis = servers.map(({ url }) => new Api(url, KEY));
    const hook = await call(servers[0]!.url, 'POST', '/v1/webhooks', { url: receiver.url }, KEY);
    expect(hook.status).toBe(200);
    account = await apis[0]!.open('pooled', '100');
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => debit(apis[n % 2]!, `debit ${n}`)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(60).fill(201));
    await until('all events', () => receiver.got.length >= 61);
    expect(new Set(receiver.got.map(({ event }) => event.id)).size).toBe(61);
    expect(await apis[1]!.balance(account)).toBe('40');
  });

  test('what expires is booked', async () => {
    const expires = new Date(Date.now() + 60_000).toISOString();
    const grant = { amount: '7', reference: 'g', idempotency_key: 'g', expires_at: expires };
    expect((await apis[0]!.post(`/accounts/${account}/credit`, grant)).status).toBe(201);
    const clock = await call(servers[1]!.url, 'POST', '/v1/test/clock', { advance: 120 }, KEY);
    expect(clock.body).toMatchObject({ settled: { accounts: 1 } });
    expect(await apis[0]!.balance(account)).toBe('40');
  });

  test('while the pooler is away callers get 503, and then all goes on', async () => {
    const at = Number(new URL(pooler.url).port);
    await pooler.stop();
    for (const answer of [
      await debit(apis[0]!, 'away'),
      await apis[1]!.get(`/accounts/${account}`),
    ]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    }
    const ready = async ({ url }: ServerProcess) => (await fetch(`${url}/readyz`)).status;
    expect(await ready(servers[0]!)).toBe(503);
    pooler = await startPooler(server.direct!, mode, { sessions, at });
    for (const each of servers) {
      await until('the server is ready', async () => (await ready(each)) === 200);
    }
    expect((await debit(apis[0]!, 'away')).status).toBe(201);
    expect((await debit(apis[1]!, 'away')).headers.get('x-idempotent-replay')).toBe('true');
    expect(await apis[1]!.balance(account)).toBe('39');
  });

  test('SIGTERM answers what is in flight', async () => {
    const [going, staying] = apis as [Api, Api];
    const sent = Array.from({ length: 20 }, (_, n) => debit(going, `last ${n}`));
    const settled = Promise.allSettled(sent);
    await Promise.race(sent);
    expect(await servers[0]!.kill('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
    for (const answer of await settled) {
      // Whoever was not connected yet is refused, and is answered by nobody.
      if (answer.status === 'fulfilled') expect(answer.value.status).toBe(201);
    }
    for (let n = 0; n < 20; n++) await debit(staying, `last ${n}`);
    expect(await staying.balance(account)).toBe('19');
    expect(await servers[1]!.kill('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
  });

  test('the ledger is proved, moved to another database, and proved there', async () => {
    const file = join(temporaryDirectory(), 'ledger.gz');
    const there = { DATABASE_URL: await createDatabase() };
    for (const [command, place] of [
      [['verify'], settings],
      [['export', file], settings],
      [['migrate'], there],
      [['import', file], there],
      [['verify'], there],
    ] as const) {
      const { code, stdout, stderr } = await run([...command], place);
      expect(code, `${command[0]}: ${stdout}${stderr}`).toBe(0);
    }
    // The cluster of the tests promises nothing, and doctor says so.
    const { stdout } = await run(['doctor'], settings);
    expect(stdout).toContain('ok   migrations: all are applied');
    expect(stdout).toContain('ok   append-only');
  });
});

describe.skipIf(!possible)(`a pooler that nobody knows of${reason}`, () => {
  test('a start that meets the statements of others says in one line what to set', async () => {
    const database = await POSTGRES.create();
    const pooler = await startPooler(database.direct!, 'transaction', {
      sessions: 1,
      names: false,
    });
    const wrong = { DATABASE_URL: pooler.url, TALLYSTICK_POOLER: 'session', PORT: '0' };
    const first = await startServer(wrong);
    const { code, stdout, stderr } = await run(['serve'], wrong);
    await first.kill('SIGKILL');
    await pooler.stop();
    await database.drop();
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(
      /^\S.*prepared statement .* Set TALLYSTICK_POOLER=transaction and start again\.\n$/,
    );
  });
});
