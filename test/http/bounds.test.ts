import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, test } from 'vitest';
import { fetchHandler } from '../../src/server/http/fetch.js';
import type { Limits } from '../../src/server/http/limits.js';
import type { Listening } from '../../src/server/http/node.js';
import { Exports } from '../../src/server/present/exports.js';
import { until } from '../harness/until.js';
import { ask, expectEnvelope, Raw, SlowApp } from './raw.js';

/** Nothing that a client does with its connections takes what others need. */

let app: SlowApp;
let server: Listening;
let raws: Raw[];

async function start(limits: Partial<Limits> = {}): Promise<void> {
  app = new SlowApp();
  raws = [];
  server = await app.listen({ lingerMs: 100, drainMs: 1_000, ...limits });
}

afterEach(async () => {
  for (const { socket } of raws) socket.destroy();
  for (const { answer } of app.asked) answer();
  await server.close();
});

function open(options?: { isReading: boolean }): Raw {
  const raw = new Raw(server.url, options);
  raws.push(raw);
  return raw;
}

const SLOW = 'GET /slow HTTP/1.1\r\nhost: x\r\n\r\n';
/** More than the kernel keeps between two ends of a connection. */
const LARGE = 'x'.repeat(16 * 2 ** 20);

describe('requests that are sent ahead of their answers', () => {
  test('are begun a few at a time, in order, and all of them in the end', async () => {
    await start({ requestsPerConnection: 4 });
    const raw = open();
    const paths = Array.from({ length: 1_000 }, (_, n) => `/${n}`);
    raw.send(paths.map((path) => SLOW.replace('/slow', path)).join(''));
    await until('four are begun', () => app.asked.length === 4);
    expect((await ask(server.url)).status).toBe(200);
    expect(app.asked.filter(({ incoming }) => incoming.path !== '/now').length).toBe(4);
    for (let n = 0; n < 1_001; n++) {
      await until(`${n} is begun`, () => app.asked.length > n);
      app.asked[n]!.answer(app.asked[n]!.incoming.path);
    }
    await until('all are answered', () => raw.answers.length === 1_000);
    expect(raw.answers.map(({ body }) => body)).toEqual(paths);
  });

  test('with a body each are read to their ends, across the pauses', async () => {
    await start({ requestsPerConnection: 2 });
    const raw = open();
    const bodies = Array.from({ length: 200 }, (_, n) => `${n} `.repeat(500));
    const head = (body: string) =>
      `POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`;
    raw.send(bodies.map((body) => head(body) + body).join(''));
    for (const [n, body] of bodies.entries()) {
      await until(`${n} is begun`, () => app.asked.length > n);
      expect(await app.asked[n]!.incoming.text()).toEqual({ value: body });
      app.asked[n]!.answer();
    }
    await until('all are answered', () => raw.answers.length === bodies.length);
  });

  test('are no more than are held for all; a connection with one more is cut', async () => {
    await start({ requestsPerConnection: 4, requestsHeld: 10 });
    const first = open().send(SLOW.repeat(14));
    await until('four are begun', () => app.asked.length === 4);
    let made = 0;
    const count = () => {
      made++;
    };
    subscribe('http.server.request.start', count);
    const second = open().send(SLOW.repeat(2_000));
    await second.closed;
    unsubscribe('http.server.request.start', count);
    // Of what was read with it, no more than its first few requests are made objects of.
    expect(made).toBeLessThan(50);
    expect(app.asked.length).toBe(8);
    expect((await ask(server.url)).status).toBe(200);
    for (let n = 0; n < 19; n++) {
      await until(`${n} is begun`, () => app.asked.length > n);
      app.asked[n]!.answer();
    }
    await until('what is held is answered', () => first.answers.length === 14);
  });
});

describe('answers that nobody reads', () => {
  test('are cut off once none of their bytes was taken for a time', async () => {
    await start({ stallMs: 200 });
    const raw = open({ isReading: false }).send(SLOW);
    await until('it is begun', () => app.asked.length === 1);
    app.asked[0]!.answer(LARGE);
    // A socket that is not read does not see that it was closed, unless it writes.
    const prodding = setInterval(() => raw.socket.write('x'), 20);
    await raw.closed;
    clearInterval(prodding);
  });

  test('give way to those of others, the longest first', async () => {
    await start({ answerBytes: 2.5 * LARGE.length, requestsPerConnection: 1 });
    const unread = [0, 1].map(() => open({ isReading: false }));
    for (const [n, raw] of unread.entries()) {
      raw.send(SLOW);
      await until('it is begun', () => app.asked.length === n + 1);
      app.asked[n]!.answer(LARGE);
    }
    const reader = open().send(SLOW);
    await until('it is begun', () => app.asked.length === 3);
    app.asked[2]!.answer(LARGE);
    await until('a reader gets all of it', () => reader.answers[0]?.body.length === LARGE.length);
    const [longest, other] = unread.map(({ socket }) => socket);
    const prodding = setInterval(() => longest!.write('x'), 20);
    await unread[0]!.closed;
    clearInterval(prodding);
    expect(other!.destroyed).toBe(false);
  });
});

describe('bodies that do not come to their end', () => {
  test('give way to those of others, the longest first', async () => {
    await start({ partialBodyBytes: 250_000 });
    const part = `POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n${' '.repeat(100_000)}`;
    const read: Promise<unknown>[] = [];
    for (let n = 0; n < 3; n++) {
      open().send(part);
      await until('it is begun', () => app.asked.length === n + 1);
      read.push(app.asked[n]!.incoming.text());
    }
    expect(await read[0]).toMatchObject({ refusal: { code: 'overloaded' } });
    const whole = `POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`;
    open().send(whole);
    await until('another is begun', () => app.asked.length === 4);
    expect(await app.asked[3]!.incoming.text()).toEqual({ value: '{}' });
  });
});

describe('connections', () => {
  test('are closed where they are idle for longest, when there are too many', async () => {
    await start({ connections: 3 });
    const idle = [open().send('GET /now'), open(), open()];
    await until('all are connected', () => idle.every(({ socket }) => !socket.connecting));
    expect((await ask(server.url)).status).toBe(200);
    await idle[0]!.closed;
    expect(idle[0]!.text).toBe('');
    for (let n = 0; n < 5; n++) expect((await ask(server.url)).status).toBe(200);
  });

  test('are refused with 503 while all others are busy, and served once there is room', async () => {
    await start({ connections: 2, surplus: 2 });
    const busy = [open().send(SLOW), open().send(SLOW)];
    await until('both are begun', () => app.asked.length === 2);
    expectEnvelope(await ask(server.url), 503, 'overloaded');
    expect(app.asked.length).toBe(2);
    const [first, second, third] = [open(), open(), open()];
    await first!.closed;
    app.asked[0]!.answer();
    await until('it is answered', () => busy[0]!.answers.length === 1);
    busy[0]!.socket.destroy();
    await busy[0]!.closed;
    second!.send('GET /now HTTP/1.1\r\nhost: x\r\n\r\n');
    await until('there is room', () => second!.answers.length === 1);
    expect(second!.answers[0]!.status).toBe(200);
    expect(third!.socket.destroyed).toBe(false);
  });
});

describe('exports', () => {
  const limits = { perStore: 2, overall: 3, stallMs: 60_000 };
  async function* pieces() {
    yield 'a';
    yield 'b';
  }
  async function* endless() {
    for (;;) yield 'x'.repeat(100_000);
  }
  const refused = expect.objectContaining({
    refusal: expect.objectContaining({ code: 'overloaded' }),
  });

  test('are few in a store, and few in all, until they end in any way', async () => {
    const exports = new Exports(limits);
    const [first, second] = [exports.run('s1', pieces()), exports.run('s1', pieces())];
    expect(() => exports.run('s1', pieces())).toThrow(refused);
    const third = exports.run('s2', pieces());
    expect(() => exports.run('s3', pieces())).toThrow(refused);
    for await (const _ of first!) expect(exports.count).toBe(3);
    await second!.return!();
    await second!.return!();
    expect(exports.count).toBe(1);
    const failing = exports.run('s1', {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('no page')) }),
    });
    await expect(failing.next()).rejects.toThrow('no page');
    await third.return!();
    expect(exports.count).toBe(0);
  });

  test('end by themselves where nobody asks for the next page', async () => {
    const exports = new Exports({ ...limits, stallMs: 20 });
    const left = exports.run('s1', pieces());
    await until('it has ended', () => exports.count === 0);
    await expect(left.next()).rejects.toThrow('ended');
  });

  test('end where only the head was asked for, or the caller goes away', async () => {
    await start();
    const exports = new Exports(limits);
    const run = () => exports.run('s1', pieces());
    const handler = fetchHandler(async () => ({ status: 200, headers: {}, body: run() }));
    await handler(new Request('http://x/', { method: 'HEAD' }));
    expect(exports.count).toBe(0);
    const head = open().send('HEAD /slow HTTP/1.1\r\nhost: x\r\n\r\n');
    await until('it is begun', () => app.asked.length === 1);
    app.asked[0]!.answer(run());
    await until('it is answered', () => head.text.includes('200 OK'));
    // Behind an answer that is still to come, an export waits without being read.
    const gone = open().send(SLOW.repeat(3));
    await until('all are begun', () => app.asked.length === 4);
    app.asked[2]!.answer(exports.run('s1', endless()));
    gone.socket.destroy();
    await until('they have ended', () => exports.count === 0);
    app.asked[3]!.answer(run());
    await until('the last has ended', () => exports.count === 0);
  });
});

describe('a server that stops', () => {
  test('does not wait for heads that are not whole', async () => {
    await start({ drainMs: 3_600_000 });
    const halves = ['GET /slow HT', SLOW.slice(0, -2), ''].map((text) => open().send(text));
    await until('all are connected', () => halves.every(({ socket }) => !socket.connecting));
    expect((await ask(server.url)).status).toBe(200);
    await server.close();
    await Promise.all(halves.map(({ closed }) => closed));
  });

  test('answers what is in flight, and cuts off in time whoever does not let it', async () => {
    await start({ drainMs: 1_500 });
    const halves = ['GET /slow HT', SLOW.slice(0, -2), ''].map((text) => open().send(text));
    const body = open().send('POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc');
    const unread = open({ isReading: false }).send(SLOW.repeat(50));
    const kept = open().send(SLOW.replace('/slow', '/now'));
    await until('all are begun', () => app.asked.length === 10);
    await until('one is answered', () => kept.answers.length === 1);
    const last = open().send(SLOW);
    await until('it is begun', () => app.asked.length === 11);
    for (const { incoming, answer } of app.asked.slice(0, 10)) {
      if (incoming.method === 'GET') answer(LARGE);
    }
    const stopped = server.close();
    app.asked[10]!.answer('in flight');
    await last.closed;
    expect(last.answers[0]!.body).toBe('in flight');
    expect(last.answers[0]!.head).toMatch(/connection: close/i);
    await Promise.all([...halves, kept].map(({ closed }) => closed));
    await stopped;
    await body.closed;
    expect(unread.text).toBe('');
  });
});
