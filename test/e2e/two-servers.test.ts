import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../harness/api.js';
import { Api, KEY } from './api.js';
import { Cluster, POSTGRES_BINARIES, run, type ServerProcess, startServer } from './harness.js';

/** Two server processes on one PostgreSQL must together decide as one would alone. */
describe.skipIf(POSTGRES_BINARIES === undefined)('two servers on one PostgreSQL', () => {
  let cluster: Cluster;
  let url: string;
  let servers: ServerProcess[];
  let apis: Api[];

  beforeAll(async () => {
    cluster = await Cluster.start();
    url = await cluster.database();
    const settings = { DATABASE_URL: url, TALLYSTICK_API_KEY: KEY };
    // Both migrate the empty database at the same time.
    servers = await Promise.all([startServer(settings), startServer(settings)]);
    apis = servers.map((server) => new Api(server.url, KEY));
  });

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.kill('SIGKILL')));
    await cluster.stop();
  });

  function inParallel(count: number, send: (api: Api, index: number) => Promise<Answer>) {
    return Promise.all(Array.from({ length: count }, (_, i) => send(apis[i % 2]!, i)));
  }

  test('200 debits of 1 against 100 succeed exactly 100 times', async () => {
    const account = await apis[0]!.open('race', '100');
    const answers = await inParallel(200, (api, i) => {
      const body = { amount: '1', reference: 'race', idempotency_key: `race-${i}` };
      return api.post(`/accounts/${account}/debit`, body);
    });
    const codes = answers.map(({ status, body }) => body.error?.code ?? status);
    expect(codes.filter((code) => code === 201)).toHaveLength(100);
    expect(codes.filter((code) => code === 'insufficient_balance')).toHaveLength(100);
    expect(await apis[1]!.balance(account)).toBe('0');
  });

  test('50 requests with one key are one transaction and 49 replays', async () => {
    const account = await apis[0]!.open('replay', '100');
    const body = { amount: '7', reference: 'r', idempotency_key: 'one key' };
    const answers = await inParallel(50, (api) => api.post(`/accounts/${account}/debit`, body));
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(201));
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    const replays = answers.filter(({ headers }) => headers.get('x-idempotent-replay') === 'true');
    expect(replays).toHaveLength(49);
    expect(await apis[0]!.balance(account)).toBe('93');
  });

  test('one key with two bodies writes one of them', async () => {
    const account = await apis[0]!.open('mismatch', '100');
    const answers = await inParallel(50, (api, i) => {
      const body = { amount: String(1 + (i % 2)), reference: 'r', idempotency_key: 'two bodies' };
      return api.post(`/accounts/${account}/debit`, body);
    });
    const written = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ body }) => body.error?.code === 'idempotency_key_mismatch');
    expect(written.length + refused.length).toBe(50);
    expect(refused).toHaveLength(25);
    expect(new Set(written.map((answer) => answer.body.id)).size).toBe(1);
  });

  test('the ledger is clean afterwards', async () => {
    const { code, stdout } = await run(['verify'], { DATABASE_URL: url });
    expect(stdout).toContain('Clean:');
    expect(code).toBe(0);
  });
});
