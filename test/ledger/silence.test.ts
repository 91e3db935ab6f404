import { afterEach, beforeEach, expect, test } from 'vitest';
import { reverseCommand } from '../../src/ledger/commands.js';
import { ANSWER_MS_MAX } from '../../src/ledger/write/batcher.js';
import type { Engine } from '../../src/store/engine/db.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { Api, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { SilentProxy } from '../harness/silent-proxy.js';
import { WAIT_MS_MAX } from '../harness/until.js';
import { expectSound } from '../harness/verify.js';

/**
 * The network to the database falls silent: packets vanish, and nobody closes a connection. The
 * bounds in time are far apart, for without time-outs of our own these requests wait for minutes.
 */

/** What callers are promised. */
const PROMISED_MS = 5_000;

onEngine(POSTGRES, (engine) => {
  let database: TestDatabase;
  let proxy: SilentProxy;
  let behind: Engine;
  let server: TestServer;
  let api: Api;
  let account: string;

  beforeEach(async () => {
    database = await engine.create();
    proxy = await SilentProxy.start(database.url!);
    behind = await openPostgres({ url: proxy.url });
    server = await startServer(behind);
    api = new Api(server.url, server.key);
    account = (await api.open({ initial_balance: '100' })).id;
  });
  afterEach(async () => {
    proxy.heal();
    await server.close();
    await behind.close();
    await proxy.stop();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  async function timed<T>(work: () => Promise<T>): Promise<{ value: T; milliseconds: number }> {
    const started = performance.now();
    const value = await work();
    return { value, milliseconds: performance.now() - started };
  }

  test('on the open connections: a write is carried out on a new one', async () => {
    // The key is known for a moment, so that it is the lane that meets the silence.
    expectTransaction(await api.debit(account, '1'));
    proxy.fallSilent();
    const { value, milliseconds } = await timed(() => api.debit(account, '1'));
    expectTransaction(value);
    expect(milliseconds).toBeLessThan(PROMISED_MS + WAIT_MS_MAX);
    // A read meets it once, and is tried again on a new connection too.
    expect(await api.balance(account)).toBe('98');
  });

  test('on several of a pool: a read meets one of them and no other', async () => {
    const rest = 'select pg_sleep(0.2)';
    await Promise.all([1, 2, 3].map(() => behind.reader.query(rest)));
    proxy.fallSilent();
    expect((await behind.reader.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('after COMMIT has been sent: its key tells that it was carried out', async () => {
    const key = uniqueName('key');
    proxy.swallowAnswerTo('commit');
    const first = await api.debit(account, '1', key);
    // It is told as new, for this caller has not been told of it before.
    expect(first.headers.get('x-idempotent-replay')).toBeNull();
    const again = await api.debit(account, '1', key);
    expect(again.headers.get('x-idempotent-replay')).toBe('true');
    expect(expectTransaction(again).id).toBe(expectTransaction(first).id);
    expect(await api.balance(account)).toBe('99');
  });

  test('after COMMIT has been sent for a freeze: 503, for nothing tells of that', async () => {
    proxy.swallowAnswerTo('commit');
    expectProblem(await api.call('freezeAccount', { id: account }), 'unavailable');
    const { body } = await api.call('getAccount', { id: account });
    expect(body.status).toBe('frozen');
  });

  test('after a statement that changes something: it is not sent twice', async () => {
    const admin = (text: string) => database.engine.onSession((lane) => lane.query(text));
    await admin('create table public.marks (mark integer)');
    const mark = 'insert into public.marks values (1)';
    proxy.swallowAnswerTo(mark);
    await expect(behind.keys.query(mark)).rejects.toMatchObject({ code: '08006' });
    expect((await admin('select mark from public.marks')).rows).toHaveLength(1);
    // What changes nothing is.
    const read = 'select 42 as answer';
    proxy.swallowAnswerTo(read);
    expect((await behind.keys.query(read)).rows).toEqual([{ answer: 42 }]);
  });

  test('everywhere: 503 in time from writes, reads and probes, and then as before', async () => {
    expectTransaction(await api.debit(account, '1'));
    const key = uniqueName('key');
    proxy.fallSilent({ all: true });
    const { value: answers, milliseconds } = await timed(() =>
      Promise.all([
        api.debit(account, '1', key),
        api.call('getAccountBalance', { id: account }),
        api.call('createWebhook', { body: { delivery_mode: 'cli' } }),
      ]),
    );
    for (const answer of answers) expectProblem(answer, 'unavailable');
    // A busy machine hides how long they would have waited, so that the limit itself is looked at.
    expect(ANSWER_MS_MAX).toBeLessThan(PROMISED_MS);
    expect(milliseconds).toBeLessThan(PROMISED_MS + WAIT_MS_MAX);
    expect((await api.send('GET', '/readyz')).status).toBe(503);
    proxy.heal();
    await expect.poll(async () => (await api.send('GET', '/readyz')).status).toBe(200);
    expectTransaction(await api.debit(account, '1', key));
    expect(await api.balance(account)).toBe('98');
  });

  test('while it is being closed: it closes all the same', async () => {
    const { ledger, store } = server;
    proxy.fallSilent({ all: true });
    const outcome = ledger.execute(store, reverseCommand(store.id));
    const { milliseconds } = await timed(() => ledger.close());
    expect(await outcome).toMatchObject({ refusal: { code: 'unavailable' } });
    expect(milliseconds).toBeLessThan(ANSWER_MS_MAX + WAIT_MS_MAX);
    behind = await openPostgres({ url: database.url! });
  });
});
