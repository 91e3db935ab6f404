import http from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type Address, AddressGuard, parseAllowList } from '../../src/webhooks/delivery/address.js';
import { attempt } from '../../src/webhooks/delivery/attempt.js';
import { Connections } from '../../src/webhooks/delivery/connections.js';
import { until, WAIT_MS_MAX } from '../harness/until.js';

/** Every attempt settles within its time-out, whatever the other side does or leaves undone. */

const TIMEOUT = 400;
const guard = new AddressGuard(parseAllowList('127.0.0.1'));
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A receiver that does what it is told with the socket, once a request has begun to arrive. */
async function peer(act: (socket: Socket) => void, event: 'data' | 'connection' = 'data') {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', () => {});
    if (event === 'connection') act(socket);
    else socket.once('data', () => act(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

function post(url: string, over: Partial<Parameters<typeof attempt>[2]> = {}) {
  return { url, body: '{"a":1}', headerSets: [{}], timeout: TIMEOUT, ...over };
}

async function made(work: ReturnType<typeof attempt>) {
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('It never settled.')), WAIT_MS_MAX);
  });
  const { attempt } = await Promise.race([work, never]);
  clearTimeout(timer);
  return { status: attempt.response_status, error: attempt.error };
}

/** Writes again and again until the socket is closed. */
function drip(socket: Socket, text: string): void {
  const timer = setInterval(() => socket.write(text), 20);
  socket.on('close', () => clearInterval(timer));
}

const INTERIM = 'HTTP/1.1 102 Processing\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n';
const LATE = /no answer within 400 ms/;

test.each<[string, (socket: Socket) => void, { status: number } | { error: RegExp }]>([
  ['switches protocols', (s) => s.write(SWITCH), { status: 101 }],
  ['switches and hangs up', (s) => s.end(SWITCH), { status: 101 }],
  ['switches and talks on', (s) => s.write(`${SWITCH}${'x'.repeat(9999)}`), { status: 101 }],
  ['switches without saying to what', (s) => s.write('HTTP/1.1 101 S\r\n\r\n'), { status: 101 }],
  [
    'says that it upgrades, with 200',
    (s) => s.write(`${SWITCH.replace('101', '200')}`),
    { error: LATE },
  ],
  [
    'sends interim answers by the hundred',
    (s) => s.write(INTERIM.repeat(500)),
    { error: /interim/ },
  ],
  ['sends interim answers for ever', (s) => drip(s, INTERIM), { error: /interim/ }],
  [
    'sends one interim answer and the true one',
    (s) => s.write(`${INTERIM}HTTP/1.1 204 No Content\r\n\r\n`),
    { status: 204 },
  ],
  [
    'cuts a body short',
    (s) => s.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx'),
    { error: /./ },
  ],
  [
    'cuts a chunk short',
    (s) => s.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nx'),
    { error: /./ },
  ],
  [
    'resets within a body',
    (s) => s.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx', () => s.resetAndDestroy()),
    { error: /./ },
  ],
  [
    'sends trailers for ever',
    (s) => {
      s.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n');
      drip(s, 'x: y\r\n');
    },
    { error: LATE },
  ],
  [
    'sends headers for ever',
    (s) => {
      s.write('HTTP/1.1 200 OK\r\n');
      drip(s, 'x: y\r\n');
    },
    { error: LATE },
  ],
  [
    'sends a megabyte of headers',
    (s) => s.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1e6)}`),
    { error: /./ },
  ],
  ['sends something else than HTTP', (s) => s.write('220 mail.example ESMTP\r\n'), { error: /./ }],
  ['sends half a line', (s) => s.write('HTTP/1.1 2'), { error: LATE }],
  ['sends nothing', () => {}, { error: LATE }],
  ['closes its half', (s) => s.end(), { error: /hang up/ }],
  ['closes at once', (s) => s.destroy(), { error: /hang up|ECONNRESET/ }],
  ['resets', (s) => s.resetAndDestroy(), { error: /hang up|ECONNRESET/ }],
])('a receiver that %s', async (_, act, expected) => {
  const { port, sockets } = await peer(act);
  const isLate = 'error' in expected && expected.error === LATE;
  const sent = post(`http://127.0.0.1:${port}/`, isLate ? {} : { timeout: WAIT_MS_MAX / 2 });
  const result = await made(attempt(guard, new Connections(), sent));
  if ('status' in expected) expect(result).toEqual({ status: expected.status, error: null });
  else expect(result).toEqual({ status: null, error: expect.stringMatching(expected.error) });
  await until('no connection is left', () => [...sockets].every(({ destroyed }) => destroyed));
});

test.each([
  ['closes before it is sent anything', (socket: Socket) => socket.destroy()],
  ['answers before it is asked, and hangs up', (s: Socket) => s.end('HTTP/1.1 200 OK\r\n\r\n')],
])('a receiver that %s', async (_, act) => {
  const { port } = await peer(act, 'connection');
  await made(attempt(guard, new Connections(), post(`http://127.0.0.1:${port}/`)));
});

test.each(['data', 'connection'] as const)(
  'TLS that is silent from its first %s on',
  async (event) => {
    const { port } = await peer(() => {}, event);
    const result = await made(
      attempt(guard, new Connections(), post(`https://127.0.0.1:${port}/`)),
    );
    expect(result.error).toMatch(LATE);
  },
);

test('a request that no event ever comes of', async () => {
  class Deaf extends http.Agent {
    addRequest(): void {}
  }
  const deaf = { agentFor: () => new Deaf() } as unknown as Connections;
  expect((await made(attempt(guard, deaf, post('http://127.0.0.1:1/')))).error).toMatch(LATE);
});

describe('names', () => {
  const resolving = (resolve: () => Promise<readonly Address[]>) =>
    new AddressGuard(parseAllowList('127.0.0.1'), resolve);

  test('that nobody resolves, asked once for all who wait', async () => {
    let asked = 0;
    const silent = resolving(() => {
      asked++;
      return new Promise(() => {});
    });
    const all = Array.from({ length: 16 }, () =>
      made(attempt(silent, new Connections(), post('http://silent.test/'))),
    );
    for (const { error } of await Promise.all(all)) expect(error).toMatch(LATE);
    expect(asked).toBe(1);
  });

  test('that are resolved too late are not called any more', async () => {
    let answer: (found: readonly Address[]) => void = () => {};
    const late = resolving(() => new Promise((resolve) => (answer = resolve)));
    const { port, sockets } = await peer((socket) => socket.write('HTTP/1.1 204 N\r\n\r\n'));
    const url = `http://late.test:${port}/`;
    expect((await made(attempt(late, new Connections(), post(url)))).error).toMatch(LATE);
    answer([{ address: '127.0.0.1', family: 4 }]);
    // Whoever is called after it is reached after it, so that it would be seen by then.
    const next = await made(
      attempt(
        guard,
        new Connections(),
        post(`http://127.0.0.1:${port}/`, { timeout: WAIT_MS_MAX }),
      ),
    );
    expect(next.status).toBe(204);
    expect(sockets.size).toBe(1);
  });
});

test('the end of the process cuts all of them short', async () => {
  const { port } = await peer(() => {});
  const end = new AbortController();
  const url = `http://127.0.0.1:${port}/`;
  const over = { timeout: 10 * WAIT_MS_MAX, signal: end.signal };
  const work = made(attempt(guard, new Connections(), post(url, over)));
  end.abort();
  expect((await work).error).toContain('the server stopped');
  const after = made(attempt(guard, new Connections(), post(url, over)));
  expect((await after).error).toContain('the server stopped');
});
