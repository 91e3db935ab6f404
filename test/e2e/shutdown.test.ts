import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomFrom, seedOf } from '../harness/seed.js';
import { until } from '../harness/until.js';
import { Api, KEY, Load } from './api.js';
import { Blocker } from './blocker.js';
import {
  Cluster,
  ENGINES,
  embeddedDirectory,
  POSTGRES_BINARIES,
  run,
  startServer,
} from './harness.js';

/** SIGTERM: what is in flight is answered, nothing new is taken, and the exit code is 0. */

describe.skipIf(POSTGRES_BINARIES === undefined)('a server on PostgreSQL', () => {
  let cluster: Cluster;
  let url: string;

  beforeAll(async () => {
    cluster = await Cluster.start();
    url = await cluster.database();
  });

  afterAll(() => cluster.stop());

  test('that is told to stop first answers what is in flight', async () => {
    const server = await startServer({ DATABASE_URL: url, TALLYSTICK_API_KEY: KEY });
    const api = new Api(server.url, KEY);
    const account = await api.open('first', '100');
    const debit = (key: string) =>
      api.post(`/accounts/${account}/debit`, { amount: '1', reference: 'r', idempotency_key: key });
    const blocker = await Blocker.start(url);
    const debits = Array.from({ length: 40 }, (_, i) => debit(`in flight ${i}`));
    await until('all are taken', async () => {
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      return /^tallystick_writes_unanswered 40$/m.test(metrics);
    });
    const ended = server.kill('SIGTERM');
    await until('nothing new is taken', () =>
      fetch(`${server.url}/livez`).then(
        () => false,
        () => true,
      ),
    );
    await blocker.end();
    const answers = await Promise.all(debits);
    expect(answers.map(({ status }) => status)).toEqual(Array(40).fill(201));
    const { code, signal } = await ended;
    expect({ code, signal }).toEqual({ code: 0, signal: null });
  });
});

describe('a server whose clients are hostile', () => {
  const PATH = '/v1/customer-credits/accounts';
  const sockets: Socket[] = [];

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
  });

  test('that is told to stop ends with 0 in ten seconds all the same', async () => {
    const settings = { TALLYSTICK_DATA_DIR: embeddedDirectory() };
    const server = await startServer({ ...settings, TALLYSTICK_API_KEY: KEY });
    const api = new Api(server.url, KEY);
    const account = await api.open('hostile', '100');
    const { port } = new URL(server.url);
    const head = `host: x\r\nx-api-key: ${KEY}\r\ncontent-type: application/json\r\n`;
    const sent = [
      'GET /livez HT',
      `GET /livez HTTP/1.1\r\n${'a:b\r\n'.repeat(50)}`,
      `POST ${PATH} HTTP/1.1\r\n${head}content-length: 99\r\n\r\n{`,
      `POST ${PATH} HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`,
      `GET ${PATH}/${account}/entries HTTP/1.1\r\n${head}accept: text/csv\r\n\r\n`.repeat(500),
      `GET /openapi.json HTTP/1.1\r\n${head}\r\n`.repeat(1_000),
      'CONNECT a:1 HTTP/1.1\r\nhost: x\r\n\r\n',
      '',
    ];
    for (const text of Array.from({ length: 4 }, () => sent).flat()) {
      const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
      sockets.push(socket.on('error', () => {}).pause());
      await new Promise<void>((resolve) => socket.once('connect', resolve));
      if (text !== '') socket.write(text);
    }
    // It is served in its turn, so that what the others sent has been begun by now.
    expect(await api.balance(account)).toBe('100');
    // By itself it would wait for them for ever.
    const { code } = await server.kill('SIGTERM');
    expect(code).toBe(0);
  });
});

describe.each(ENGINES)('a busy server on %s', (engine) => {
  let cluster: Cluster | undefined;
  let settings: Record<string, string>;

  beforeAll(async () => {
    if (engine === 'PostgreSQL') cluster = await Cluster.start();
    settings =
      cluster === undefined
        ? { TALLYSTICK_DATA_DIR: embeddedDirectory() }
        : { DATABASE_URL: await cluster.database() };
  });

  afterAll(() => cluster?.stop());

  test('that is told to stop loses nothing, and soon ends with 0', async () => {
    const withKey = { ...settings, TALLYSTICK_API_KEY: KEY };
    const first = await startServer(withKey);
    const api = new Api(first.url, KEY);
    const account = await api.open('busy', '100000');
    const load = new Load([account], randomFrom(seedOf('a load of writes')));
    load.start(api, { untilRefused: true });
    await until('it is busy', () => load.acknowledged >= 100);
    const toldAt = performance.now();
    const { code } = await first.kill('SIGTERM');
    expect(code).toBe(0);
    // Well below the time after which it would cut connections off.
    expect(performance.now() - toldAt).toBeLessThan(7_500);
    await load.stop();
    const second = await startServer(withKey);
    const again = new Api(second.url, KEY);
    await load.retry(again);
    expect(load.wrong).toEqual([]);
    expect(await load.missing(again)).toEqual([]);
    expect(await again.balance(account)).toBe(load.expected(account, 100_000));
    await second.kill('SIGTERM');
    expect((await run(['verify'], settings)).code).toBe(0);
  });
});
