import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AddressGuard, parseAllowList } from '../../src/webhooks/delivery/address.js';
import { attempt, retryAfterOf } from '../../src/webhooks/delivery/attempt.js';
import { Connections } from '../../src/webhooks/delivery/connections.js';
import { until, WAIT_MS_MAX } from '../harness/until.js';
import { type Answer, startReceiver } from './harness.js';

let receiver: Awaited<ReturnType<typeof startReceiver>>;
let answer: Answer;
const guard = new AddressGuard(parseAllowList('127.0.0.1'));

beforeAll(async () => {
  receiver = await startReceiver((received, response) => answer(received, response));
});
afterAll(() => receiver.close());

let connections: Connections;
beforeEach(() => {
  connections = new Connections();
});

const post = (timeout = WAIT_MS_MAX, headerSets: Record<string, string>[] = [{}]) =>
  attempt(guard, connections, { url: receiver.url, body: '{"a":1}', headerSets, timeout });

describe('an attempt', () => {
  test('follows no redirect', async () => {
    answer = (_, response) => response.writeHead(302, { location: receiver.url }).end();
    const before = receiver.got.length;
    expect((await post()).attempt.response_status).toBe(302);
    expect(receiver.got.length).toBe(before + 1);
  });

  test('ends at its time-out, however the receiver drags it out', async () => {
    answer = () => {};
    const silent = await post(200);
    expect(silent.attempt).toMatchObject({ response_status: null });
    expect(silent.attempt.error).toContain('200 ms');
    answer = (_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    };
    const dripping = await post(300);
    expect(dripping.attempt.response_status).toBeNull();
    expect(dripping.attempt.latency_ms).toBeGreaterThanOrEqual(290);
  });

  test('reads no more of an answer than it must', async () => {
    let sent = 0;
    answer = (_, response) => {
      response.writeHead(200);
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        sent += chunk.length;
        if (!response.destroyed) response.write(chunk, () => setImmediate(more));
      };
      more();
    };
    expect((await post()).attempt.response_status).toBe(200);
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test('tells why nobody answered', async () => {
    const { attempt: made } = await attempt(guard, connections, {
      url: 'http://127.0.0.1:1/',
      body: '{}',
      headerSets: [{}],
      timeout: WAIT_MS_MAX,
    });
    expect(made).toMatchObject({ response_status: null });
    expect(made.error).toContain('ECONNREFUSED');
  });

  test('refuses a certificate that nobody vouches for', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tallystick-tls-'));
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const subject = ['-subj', '/CN=hook.test', '-addext', 'subjectAltName=DNS:hook.test'];
    const files = ['-keyout', key, '-out', cert];
    const make = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
    execFileSync('openssl', [...make, ...files, ...subject], { stdio: 'ignore' });
    const server = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const named = new AddressGuard(parseAllowList('127.0.0.1'), async () => [
      { address: '127.0.0.1', family: 4 },
    ]);
    const url = `https://hook.test:${port}/`;
    const made = await attempt(named, connections, {
      url,
      body: '{}',
      headerSets: [{}],
      timeout: WAIT_MS_MAX,
    });
    expect(made.attempt.response_status).toBeNull();
    expect(made.attempt.error).toContain('certificate');
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  test('tries the other secret at once, where the first is refused', async () => {
    answer = ({ headers }, response) => {
      response.statusCode = headers['creem-signature'] === 'old' ? 200 : 401;
      response.end();
    };
    const sets = [{ 'creem-signature': 'new' }, { 'creem-signature': 'old' }];
    expect((await post(WAIT_MS_MAX, sets)).attempt.response_status).toBe(200);
    expect((await post(WAIT_MS_MAX, sets.slice(0, 1))).attempt.response_status).toBe(401);
  });

  test('passes on how long it is to stay away', async () => {
    answer = (_, response) => response.writeHead(429, { 'retry-after': '7' }).end();
    expect((await post()).retryAfter).toBe(7_000);
  });
});

describe('a connection', () => {
  /** Answers 200 to all that comes, by hand, so that each connection is seen. */
  async function serve(answerTo: (socket: Socket, count: number) => void) {
    const sockets: Socket[] = [];
    const reached: string[] = [];
    let requests = 0;
    const server = createServer((socket) => {
      sockets.push(socket);
      reached.push(socket.localAddress!.replace('::ffff:', ''));
      socket.on('error', () => {});
      socket.on('data', () => answerTo(socket, ++requests));
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as AddressInfo;
    const close = () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
    const send = (host = '127.0.0.1', names = guard) => {
      const url = `http://${host}:${port}/`;
      return attempt(names, connections, {
        url,
        body: '{}',
        headerSets: [{}],
        timeout: WAIT_MS_MAX,
      });
    };
    return { sockets, reached, send, close };
  }
  const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  test('serves the next attempt too', async () => {
    const { sockets, send, close } = await serve((socket) => socket.write(OK));
    for (let n = 0; n < 3; n++) expect((await send()).attempt.response_status).toBe(200);
    expect(sockets).toHaveLength(1);
    close();
  });

  test('is not used again where its name leads elsewhere by now, though that is allowed', async () => {
    const { sockets, reached, send, close } = await serve((socket) => socket.write(OK));
    const answers = ['127.0.0.1', '127.0.0.2', '127.0.0.2'];
    const moving = new AddressGuard(parseAllowList('127.0.0.0/8'), async () => [
      { address: answers.shift()!, family: 4 },
    ]);
    for (let n = 0; n < 3; n++) {
      expect((await send('moving.invalid', moving)).attempt.response_status).toBe(200);
    }
    expect(reached).toEqual(['127.0.0.1', '127.0.0.2']);
    await until('the first is closed', () => sockets[0]!.destroyed);
    close();
  });

  test('is sent nothing once the attempt is over, though no timer has ended it yet', async () => {
    let sent = 0;
    const { sockets, send, close } = await serve((socket) => {
      sent++;
      socket.write(OK);
    });
    // The process is stopped for a minute while a name is resolved: what it waits for is there
    // when it goes on, before any of its timers.
    const now = performance.now.bind(performance);
    let stoppedFor = 0;
    let stops = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + stoppedFor);
    const stopping = new AddressGuard(parseAllowList('127.0.0.1'), async () => {
      stoppedFor += stops;
      return [{ address: '127.0.0.1', family: 4 }];
    });
    const sendOn = async (milliseconds: number) => {
      stops = milliseconds;
      return (await send('stopped.invalid', stopping)).attempt;
    };
    expect((await sendOn(2 * WAIT_MS_MAX)).error).toContain('too late');
    expect((await sendOn(0)).response_status).toBe(200);
    expect((await sendOn(2 * WAIT_MS_MAX)).error).toContain('too late');
    expect([sent, sockets.length], 'one on a new connection, one on a kept one').toEqual([1, 2]);
    vi.restoreAllMocks();
    close();
  });

  test('that nobody uses is closed', async () => {
    const { sockets, send, close } = await serve((socket) => socket.write(OK));
    await send();
    await until('it is closed', () => sockets[0]!.destroyed);
    expect((await send()).attempt.response_status).toBe(200);
    close();
  });

  test('outlasts an answer that takes longer than it is kept', async () => {
    const { send, close } = await serve((socket) => setTimeout(() => socket.write(OK), 1_300));
    expect((await send()).attempt.response_status).toBe(200);
    close();
  });

  test('that was closed by the receiver is replaced within the attempt', async () => {
    const { sockets, send, close } = await serve((socket, count) => {
      if (count === 2) socket.destroy();
      else socket.write(OK);
    });
    for (let n = 0; n < 2; n++) expect((await send()).attempt.response_status).toBe(200);
    expect(sockets).toHaveLength(2);
    close();
  });

  test('is opened at most once more: a receiver that hangs up has failed', async () => {
    const { sockets, send, close } = await serve((socket, count) => {
      if (count > 1) socket.destroy();
      else socket.write(OK);
    });
    expect((await send()).attempt.response_status).toBe(200);
    expect((await send()).attempt).toMatchObject({ response_status: null });
    expect((await send()).attempt.error).toContain('hang up');
    expect(sockets).toHaveLength(3);
    close();
  });
});

test.each([
  ['0', 0],
  ['120', 120_000],
  ['99999999', 86_400_000],
  ['Thu, 01 Jan 1970 00:00:10 GMT', 10_000],
  ['soon', null],
  [undefined, null],
])('Retry-After %s is %s ms', (text, expected) => {
  expect(retryAfterOf(text, 0)).toBe(expected);
});
