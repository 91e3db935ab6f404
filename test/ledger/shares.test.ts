import { afterAll, beforeAll, expect, test } from 'vitest';
import { KeyRing, Ledger, Sweeper } from '../../src/ledger/index.js';
import {
  READ_WAIT_MS_MAX,
  READS_WAITING_MAX,
  ReadShares,
  STORE_READS_MAX,
} from '../../src/ledger/read-shares.js';
import type { Db, Engine, Result } from '../../src/store/engine/db.js';
import { READERS_MAX } from '../../src/store/engine/postgres.js';
import { Api, expectStatus, uniqueName } from '../harness/api.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** What one store can occupy, so that the others are served beside it. */

/** A database whose statements end when a test says so, in the order in which they began. */
function slowDb() {
  const begun: { text: string; end(): void }[] = [];
  const db: Db = {
    query: (text) =>
      new Promise<Result>((resolve) => {
        begun.push({ text, end: () => resolve({ rows: [] }) });
      }),
  };
  return { db, begun, texts: () => begun.map(({ text }) => text) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a store reads at most its share at once, and the rest in order', async () => {
  const { db, begun, texts } = slowDb();
  const reader = new ReadShares(db);
  const asked = Array.from({ length: STORE_READS_MAX + 2 }, (_, n) => reader.query(`a${n}`, ['a']));
  await turn();
  expect(begun).toHaveLength(STORE_READS_MAX);
  for (let n = 0; n < asked.length; n++) {
    begun[n]!.end();
    await turn();
  }
  await Promise.all(asked);
  expect(texts()).toEqual(asked.map((_, n) => `a${n}`));
});

test('whoever reads least is next', async () => {
  const { db, begun, texts } = slowDb();
  const shares = new ReadShares(db);
  const ask = (store: string, n: number) =>
    Array.from({ length: n }, (_, i) => shares.query(`${store}${i}`, [store]));
  const asked = [...ask('a', STORE_READS_MAX + 5), ...ask('b', STORE_READS_MAX), ...ask('c', 1)];
  await turn();
  // Two of b found room beside a; all others wait.
  expect(texts().slice(STORE_READS_MAX)).toEqual(['b0', 'b1']);
  expect(begun).toHaveLength(READERS_MAX);
  begun[0]!.end();
  await turn();
  expect(texts().at(-1)).toBe('c0');
  for (let n = 1; n < asked.length; n++) {
    begun[n]!.end();
    await turn();
  }
  await Promise.all(asked);
});

test('a read that fails leaves its room to the next', async () => {
  const reader = new ReadShares({ query: () => Promise.reject(new Error('It fails.')) });
  for (let n = 0; n <= STORE_READS_MAX; n++) {
    await expect(reader.query('select', ['a'])).rejects.toThrow('It fails.');
  }
});

test('too many that wait, or one that waits too long: overloaded', async () => {
  const { db, begun } = slowDb();
  const reader = new ReadShares(db);
  const running = Array.from({ length: STORE_READS_MAX }, () => reader.query('running', ['a']));
  const overloaded = { refusal: { code: 'overloaded' } };
  const waiting = Array.from({ length: READS_WAITING_MAX }, () => reader.query('waiting', ['a']));
  const ended = Promise.allSettled(waiting);
  await expect(reader.query('one too many', ['a'])).rejects.toMatchObject(overloaded);
  const started = performance.now();
  for (const result of await ended) {
    expect(result).toMatchObject({ status: 'rejected', reason: overloaded });
  }
  expect(performance.now() - started).toBeGreaterThan(READ_WAIT_MS_MAX / 2);
  for (const { end } of begun) end();
  await Promise.all(running);
  const next = reader.query('next', ['a']);
  await turn();
  begun.at(-1)!.end();
  await next;
});

onEngine(POSTGRES, (engine) => {
  let database: TestDatabase;
  let server: TestServer;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
  });
  afterAll(async () => {
    await server.close();
    await database.drop();
  });

  test('reads of one store that take long keep nobody else waiting', async () => {
    const key = await server.addKey({ store: uniqueName('store') });
    const other = await server.addKey({ store: uniqueName('store') });
    const { store } = (await new KeyRing(database.engine.keys).authenticate(key))!;
    // Longer than the others take, and short enough to end by itself.
    const slow = Array.from({ length: 12 }, () =>
      server.ledger.reader.query('select pg_sleep(1), $1::text', [store.id]),
    );
    const ended = Promise.allSettled(slow);
    const left = { count: slow.length };
    for (const one of slow) one.catch(() => {}).finally(() => left.count--);
    const api = new Api(server.url, other);
    for (let n = 0; n < 5; n++) expectStatus(await api.call('listAccounts'), 200);
    // A key that was never looked up is found as well.
    const fresh = new Api(server.url, await server.addKey());
    expectStatus(await fresh.call('listAccounts'), 200);
    expect(left.count).toBeGreaterThan(0);
    await ended;
  });

  test('a key is looked up while every reader is busy', async () => {
    const key = await server.addKey();
    const { reader, keys } = database.engine;
    const busy = Array.from({ length: READERS_MAX }, () => reader.query('select pg_sleep(2)'));
    const first = await Promise.race([new KeyRing(keys).authenticate(key), ...busy]);
    expect(first).toHaveProperty('keyId');
    await Promise.all(busy);
  });

  test('a store in which sweeping fails holds up no other', async () => {
    const key = await server.addKey({ store: uniqueName('store') });
    const { store: healthy } = (await new KeyRing(database.engine.keys).authenticate(key))!;
    const swept = new Set<string>();
    const failing = server.store.id;
    const { worker } = database.engine;
    const watching: Engine = {
      ...database.engine,
      worker: {
        query: (text, values) => {
          const isSearch = text.includes('tallystick.grants');
          if (isSearch && values?.[0] === failing) return Promise.reject(new Error('it fails'));
          if (isSearch) swept.add(String(values?.[0]));
          return worker.query(text, values);
        },
      },
    };
    const errors: unknown[] = [];
    const sweeper = new Sweeper(new Ledger(watching), (error) => errors.push(error));
    await expect.poll(() => swept.has(healthy.id)).toBe(true);
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    swept.clear();
    await expect.poll(() => swept.has(healthy.id)).toBe(true);
    await sweeper.stop();
  });
});
