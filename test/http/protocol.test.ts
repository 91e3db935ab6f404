import { afterEach, describe, expect, test } from 'vitest';
import type { Limits } from '../../src/server/http/limits.js';
import type { Listening } from '../../src/server/http/node.js';
import { until } from '../harness/until.js';
import { ask, expectEnvelope, Raw, SlowApp } from './raw.js';

/** What Node would answer by itself is answered by us: in the envelope, and in its turn. */

let app: SlowApp;
let server: Listening;

async function start(limits: Partial<Limits> = {}): Promise<void> {
  app = new SlowApp();
  server = await app.listen({ lingerMs: 100, ...limits });
}

afterEach(async () => {
  for (const { answer } of app.asked) answer();
  await server.close();
});

/** Sends something on a connection of its own, and waits until the server closes it. */
async function answersOf(text: string) {
  const raw = new Raw(server.url).send(text);
  await raw.closed;
  return raw.answers;
}

const HOST = 'host: x\r\n';
const CHUNKED = `POST /now HTTP/1.1\r\n${HOST}transfer-encoding: chunked\r\n\r\n`;
const REFUSED: [string, string, number, string][] = [
  ['no Host', 'GET /now HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'validation_error'],
  [
    'two Hosts',
    `GET /now HTTP/1.1\r\n${HOST}Host: y\r\nconnection: close\r\n\r\n`,
    400,
    'validation_error',
  ],
  [
    'an Expect that nobody knows',
    `GET /now HTTP/1.1\r\n${HOST}expect: x\r\nconnection: close\r\n\r\n`,
    417,
    'expectation_failed',
  ],
  [
    'more headers than are kept',
    `GET /now HTTP/1.1\r\n${HOST}connection: close\r\n${'a:b\r\n'.repeat(99)}\r\n`,
    431,
    'headers_too_large',
  ],
  [
    'a head that is too large',
    `GET /now HTTP/1.1\r\n${HOST}a: ${'b'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`, 405, 'method_not_allowed'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'validation_error'],
  ['an unknown version', `GET /now HTTP/1.7\r\n${HOST}\r\n`, 400, 'validation_error'],
  ['a method that is none', `NONSENSE /now HTTP/1.1\r\n${HOST}\r\n`, 400, 'validation_error'],
  ['NUL in the path', `GET /\0 HTTP/1.1\r\n${HOST}\r\n`, 400, 'validation_error'],
  ['a bare LF', `GET /now HTTP/1.1\n${HOST}\n`, 400, 'validation_error'],
  [
    'two lengths',
    `POST /now HTTP/1.1\r\n${HOST}content-length: 1\r\ncontent-length: 2\r\n\r\nab`,
    400,
    'validation_error',
  ],
  [
    'a length that is no number',
    `POST /now HTTP/1.1\r\n${HOST}content-length: x\r\n\r\n`,
    400,
    'validation_error',
  ],
  [
    'a length beside chunks',
    `POST /now HTTP/1.1\r\n${HOST}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
    400,
    'validation_error',
  ],
];

describe('a request that is refused before its route is known', () => {
  test.each(REFUSED)('%s', async (_, text, status, code) => {
    await start();
    const answers = await answersOf(text);
    expectEnvelope(answers[0], status, code);
    expect(answers.length).toBe(1);
    expect(app.asked.length).toBe(0);
  });

  test('100 headers, an Upgrade and HTTP/1.0 without Host are none of these', async () => {
    await start();
    const many = 'a:b\r\n'.repeat(98);
    for (const head of [
      `1.1\r\n${HOST}connection: close\r\n${many}`,
      `1.1\r\n${HOST}connection: upgrade, close\r\nupgrade: h2c\r\n`,
      '1.0\r\n',
    ]) {
      const [answer] = await answersOf(`GET /now HTTP/${head}\r\n`);
      expect(answer?.status).toBe(200);
    }
  });
});

describe('a body that cannot be read', () => {
  test.each([
    ['a chunk without a size', 'zz\r\n', 400, 'validation_error'],
    ['chunk extensions', `1;${'a'.repeat(17_000)}\r\n`, 413, 'payload_too_large'],
    ['ten thousand pieces', '1\r\n \r\n'.repeat(10_001), 413, 'payload_too_large'],
  ])('%s', async (_, chunks, status, code) => {
    await start();
    const raw = new Raw(server.url).send(CHUNKED.replace('/now', '/slow') + chunks);
    await until('it was begun', () => app.asked.length === 1);
    const read = await app.asked[0]!.incoming.text();
    expect('refusal' in read && read.refusal.code).toBe(code);
    expect(status).toBeGreaterThanOrEqual(400);
    app.asked[0]!.answer();
    await raw.closed;
    expect(raw.answers.map(({ body }) => body)).toEqual(['ok']);
  });
});

describe('what comes too slowly', () => {
  test('a head and a silent connection get 408, and are closed', async () => {
    await start({ headMs: 100, requestMs: 200, lateCheckMs: 20 });
    for (const text of [`GET /now HTTP/1.1\r\n${HOST}`, '']) {
      const answers = await answersOf(text);
      expectEnvelope(answers[0], 408, 'request_timeout');
      expect(answers.length).toBe(1);
    }
  });

  test('a body gets 408 in the answer to its request', async () => {
    await start({ headMs: 100, requestMs: 200, lateCheckMs: 20 });
    const raw = new Raw(server.url).send(
      `POST /slow HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\nabc`,
    );
    await until('it was begun', () => app.asked.length === 1);
    const read = await app.asked[0]!.incoming.text();
    expect('refusal' in read && read.refusal.code).toBe('request_timeout');
    app.asked[0]!.answer();
    await raw.closed;
    expect(raw.answers.length).toBe(1);
    expect(raw.answers[0]!.head).toMatch(/connection: close/i);
  });

  test('the rest of a body that is not wanted is not read for ever', async () => {
    await start();
    const raw = new Raw(server.url).send(
      `POST /now HTTP/1.1\r\n${HOST}content-length: 10\r\n\r\nabc`,
    );
    await raw.closed;
    expect(raw.answers.map(({ status }) => status)).toEqual([200]);
  });
});

test('what cannot be read is answered after all that came before it', async () => {
  await start();
  const request = `GET /slow HTTP/1.1\r\n${HOST}\r\n`;
  const raw = new Raw(server.url).send(`${request}${request}this is not HTTP\r\n\r\n`);
  await until('both were begun', () => app.asked.length === 2);
  expect((await ask(server.url)).status).toBe(200);
  expect(raw.text).toBe('');
  app.asked[1]!.answer('second');
  app.asked[0]!.answer('first');
  await raw.closed;
  expect(raw.answers.slice(0, 2).map(({ body }) => body)).toEqual(['first', 'second']);
  expectEnvelope(raw.answers[2], 400, 'validation_error');
  expect(raw.answers.length).toBe(3);
});
