import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseId } from '../../src/core/id.js';
import { sweepStore } from '../../src/ledger/index.js';
import { ANSWER_MS_MAX } from '../../src/ledger/write/batcher.js';
import { awaitAccounts } from '../../src/store/write/lock.js';
import { Api, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/** Somebody else has locked an account: only those wait who need it, and not for ever. */

onEngine(POSTGRES, (engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  /** Locks rows from outside, as a person with a console would. */
  let outside: pg.Client;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });
  beforeEach(async () => {
    outside = new pg.Client(database.url);
    await outside.connect();
    await outside.query('begin');
  });
  afterEach(async () => {
    await outside.query('rollback');
    await outside.end();
  });

  /** It names the store too: on Citus a lock is of one machine. */
  const lock = async (id: string) => {
    const account = parseId('account', id);
    const find = 'select store_id from tallystick.accounts where account_id = $1';
    const { rows } = await database.engine.reader.query(find, [account]);
    const sql = `select 1 from tallystick.accounts where store_id = $1 and account_id = $2
      for update`;
    await outside.query(sql, [rows[0].store_id, account]);
  };
  const openTwo = async () => {
    const fields = { initial_balance: '100' };
    return [(await api.open(fields)).id, (await api.open(fields)).id] as const;
  };

  /** Watches whether a promise has come to something yet. */
  function watch<T>(promise: Promise<T>) {
    const watched = { done: false, promise };
    promise.then(
      () => {
        watched.done = true;
      },
      () => {},
    );
    return watched;
  }

  test('other accounts go on, and its own commands follow once it is free', async () => {
    const [locked, free] = await openTwo();
    await lock(locked);
    const waiting = watch(Promise.all([api.debit(locked, '1'), api.debit(locked, '2')]));
    for (let n = 0; n < 10; n++) expectTransaction(await api.debit(free, '1'));
    expect(await api.balance(free)).toBe('90');
    expect(waiting.done).toBe(false);
    await outside.query('rollback');
    for (const answer of await waiting.promise) expectTransaction(answer);
    expect(await api.balance(locked)).toBe('97');
  });

  test('batches of two such stores leave every lane to the others', async () => {
    const apis = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const key = await server.addKey({ store: uniqueName('store') });
        return new Api(server.url, key);
      }),
    );
    const [first, second, third] = apis as [Api, Api, Api];
    const a = await first.open({ initial_balance: '10' });
    const b = await second.open({ initial_balance: '10' });
    const c = await third.open({ initial_balance: '10' });
    await lock(a.id);
    await lock(b.id);
    const waiting = watch(Promise.all([first.debit(a.id, '1'), second.debit(b.id, '1')]));
    for (let n = 0; n < 10; n++) expectTransaction(await third.debit(c.id, '1'));
    expect(waiting.done).toBe(false);
    await outside.query('rollback');
    for (const answer of await waiting.promise) expectTransaction(answer);
  });

  test('that stays locked is 503 account_busy in time, and the key can be used again', async () => {
    const [locked] = await openTwo();
    await lock(locked);
    const key = uniqueName('key');
    const started = performance.now();
    expectProblem(await api.debit(locked, '1', key), 'account_busy');
    expect(performance.now() - started).toBeGreaterThan(ANSWER_MS_MAX - 100);
    await outside.query('rollback');
    expectTransaction(await api.debit(locked, '1', key));
    expect(await api.balance(locked)).toBe('99');
  });

  test('of a bulk request only what needs it waits, and an atomic one waits as a whole', async () => {
    const [locked, free] = await openTwo();
    const debit = (account_id: string, amount: string) => ({
      op: 'debit',
      account_id,
      amount,
      reference: 'bulk',
      idempotency_key: uniqueName('key'),
    });
    await lock(locked);
    const operations = [debit(locked, '1'), debit(free, '2'), debit(locked, '4')];
    const apart = api.call('batch', { body: { operations } });
    const atomic = api.call('batch', {
      body: { atomic: true, operations: [debit(free, '8'), debit(locked, '16')] },
    });
    // The free account's own part is carried out while the others wait.
    await expect.poll(() => api.balance(free)).toBe('98');
    await outside.query('rollback');
    const { body } = await apart;
    expect(body.results.map(({ status }: { status: number }) => status)).toEqual([201, 201, 201]);
    expect((await atomic).status).toBe(200);
    expect([await api.balance(locked), await api.balance(free)]).toEqual(['79', '90']);
  });

  test('an atomic bulk request that cannot have all of its accounts does nothing', async () => {
    const [locked, free] = await openTwo();
    await lock(locked);
    const operations = [free, locked].map((account_id) => ({
      op: 'debit',
      account_id,
      amount: '1',
      reference: 'bulk',
      idempotency_key: uniqueName('key'),
    }));
    const answer = await api.call('batch', { body: { atomic: true, operations } });
    expectProblem(answer, 'account_busy');
    expect(await api.balance(free)).toBe('100');
  });

  test('whatever names it finds it locked: holds, reversals, transactions, closes', async () => {
    const [locked, free] = await openTwo();
    const credit = expectTransaction(await api.credit(locked, '5'));
    const hold = await api.call('createHold', {
      id: locked,
      body: { amount: '1', reference: 'r', idempotency_key: uniqueName('key') },
    });
    await lock(locked);
    const waiting = watch(
      Promise.all([
        api.post([
          [locked, -10],
          [free, 10],
        ]),
        api.call('reverseTransactionById', { id: credit.id }),
        api.call('captureHold', { id: hold.body.id, body: { idempotency_key: uniqueName('k') } }),
        api.call('freezeAccount', { id: locked }),
      ]),
    );
    for (let n = 0; n < 10; n++) expectTransaction(await api.credit(free, '1'));
    expect(waiting.done).toBe(false);
    await outside.query('rollback');
    // Which of them is first is open; none fails but for what a freeze forbids.
    for (const { status } of await waiting.promise) expect([200, 201, 409]).toContain(status);
  });

  test('an account that does not exist is no account that is locked', async () => {
    const [locked] = await openTwo();
    const missing = `cca_${'0'.repeat(21)}1`;
    await lock(locked);
    // It is refused while the other is locked, so that it has not waited for it.
    expectProblem(await api.debit(missing, '1'), 'account_not_found');
  });

  test('the sweep settles the others and comes again', async () => {
    const { ledger, store } = server;
    const ends = Date.now() + 60_000;
    const [locked, free] = await openTwo();
    for (const id of [locked, free]) {
      const body = { amount: '5', reference: 'r', idempotency_key: uniqueName('key') };
      const terms = { expires_at: new Date(ends).toISOString() };
      expectTransaction(await api.call('creditAccount', { id, body: { ...body, ...terms } }));
    }
    await ledger.setClock(store, ends);
    await lock(locked);
    const swept = await sweepStore(ledger, store);
    expect(swept.transactions).toHaveLength(1);
    await outside.query('rollback');
    expect((await sweepStore(ledger, store)).transactions).toHaveLength(1);
    await ledger.setClock(store, null);
  });

  test('a server that is stopped within a batch loses its locks before others give up', async () => {
    const [locked, free] = await openTwo();
    const paused = await database.another();
    let resume = () => {};
    const stopped = paused.onLane(async (lane) => {
      await lane.query('begin');
      const every = 'select 1 from tallystick.accounts where store_id = $1 for update';
      await lane.query(every, [server.store.id]);
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
      await lane.query('commit');
    });
    const failed = stopped.catch((error: Error) => error);
    // It held every account of the store, and both are served again without a refusal.
    await expect.poll(lockedRows).toBeGreaterThan(0);
    expectTransaction(await api.debit(free, '1'));
    expectTransaction(await api.debit(locked, '1'));
    resume();
    expect(await failed).toBeInstanceOf(Error);
  });

  /** Whether somebody has a row of accounts locked; asked without waiting. */
  async function lockedRows(): Promise<number> {
    const { rows } = await database.engine.reader.query(
      `select (select count(*) from tallystick.accounts where store_id = $1)::int
        - count(*)::int as locked from (
          select 1 from tallystick.accounts where store_id = $1
            for no key update skip locked) as free`,
      [server.store.id],
    );
    return rows[0].locked;
  }

  test.each(['as they are', 'turned'])('accounts given %s are waited for by id', async (order) => {
    const ids = (await openTwo()).map((id) => parseId('account', id)!).sort() as [string, string];
    const [first, second] = ids;
    const one = 'select 1 from tallystick.accounts where store_id = $1 and account_id = $2';
    await outside.query(`${one} for update`, [server.store.id, second]);
    const waiting = new pg.Client(database.url);
    await waiting.connect();
    await waiting.query('begin');
    const given = order === 'turned' ? [second, first] : [first, second];
    const { text, values } = awaitAccounts(server.store.id, given);
    const ended = waiting.query(text, values);
    // It has the first while it waits for the second, so that nobody has it who waits for it.
    const isFree = async () => {
      const sql = `${one} for no key update skip locked`;
      const { rows } = await database.engine.reader.query(sql, [server.store.id, first]);
      return rows.length > 0;
    };
    await expect.poll(isFree).toBe(false);
    await outside.query('rollback');
    await ended;
    await waiting.end();
  });

  test('two servers that move the same accounts crosswise meet no deadlock', async () => {
    const other = await startServer(await database.another(), { beside: server });
    const apis = [api, new Api(other.url, server.key)];
    const ids = await Promise.all(
      Array.from({ length: 30 }, async () => (await api.open({ initial_balance: '1000' })).id),
    );
    const deadlocks = async () => {
      await database.engine.onLane((lane) => lane.query('select pg_stat_force_next_flush()'));
      const sql = `select deadlocks::int as n from pg_stat_database
        where datname = current_database()`;
      return (await database.engine.reader.query(sql)).rows[0].n;
    };
    const before = await deadlocks();
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, n) => {
        const lines = ids.map((id, place) => [id, place % 2 === 0 ? 1 : -1] as const);
        return apis[n % 2]!.post(n % 4 < 2 ? lines : [...lines].reverse());
      }),
    );
    for (const answer of answers) expectTransaction(answer);
    expect(await deadlocks()).toBe(before);
    await other.close();
  });
});
