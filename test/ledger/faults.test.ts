import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Db } from '../../src/store/engine/db.js';
import { apply } from '../../src/store/schema/migrate.js';
import { Api, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/** States of the database in which nothing can be written, although it answers. */

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let account: string;

  beforeEach(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    account = (await api.open({ initial_balance: '100' })).id;
  });
  afterEach(async () => {
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  const run = (sql: string) => database.engine.onSession((lane) => lane.query(sql));
  const ready = async () => (await api.send('GET', '/readyz')).status;
  const becomesReady = () => expect.poll(ready).toBe(200);

  /** Lets every insert into a table fail as it does where the disk is full. */
  const fillDisk = async () => {
    await run(`create function tallystick.fail() returns trigger language plpgsql as $$
      begin raise exception 'could not extend file' using errcode = 'disk_full'; end $$`);
    await run(`create trigger full_disk before insert on tallystick.entries
      execute function tallystick.fail()`);
  };

  test('a full disk: 503 for each request, one line in the log, and not ready', async () => {
    await fillDisk();
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => api.debit(account, '1', uniqueName('key'))),
    );
    for (const answer of answers) {
      expect(expectProblem(answer, 'unavailable').error.message).toContain('no room');
    }
    expect(server.errors).toHaveLength(1);
    const { body } = await api.send('GET', '/readyz');
    expect(body).toEqual({
      status: 'not ready',
      reason: 'the database has no room to store anything',
    });
    await run('drop trigger full_disk on tallystick.entries');
    await becomesReady();
    expectTransaction(await api.debit(account, '1'));
    expect(await api.balance(account)).toBe('99');
    expect(server.errors).toHaveLength(1);
  });

  test('a schema of a newer program: writes say so, and the probe as well', async () => {
    const newer = { version: 9999, name: 'newer', sql: 'select 1;' };
    expect(await database.engine.onSession((lane) => apply(lane, newer))).toBe(true);
    const { error } = expectProblem(await api.debit(account, '1'), 'unavailable');
    expect(error.message).toMatch(
      /^The database has migration 9999, .* Start the newer version\.$/,
    );
    const { status, body } = await api.send('GET', '/readyz');
    expect(status).toBe(503);
    expect(body).toMatchObject({ reason: error.message });
    // So does a store that was made since.
    const other = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
    const opening = await other.call('createAccount', { body: { customer_id: 'c' } });
    expectProblem(opening, 'unavailable');
    // What the older program wrote can still be read by it.
    expect(await api.balance(account)).toBe('100');
    await run('delete from tallystick.migrations where version = 9999');
    await run(
      'update tallystick.stores set schema = (select max(version) from tallystick.migrations)',
    );
    expectTransaction(await api.debit(account, '1'));
    await becomesReady();
  });

  test('reads that the database ends: 503, and one line in the log', async () => {
    const canceled = Object.assign(new Error('canceling statement'), { code: '57014' });
    let slow = false;
    const reader: Db = {
      query: (text, values) =>
        slow ? Promise.reject(canceled) : database.engine.reader.query(text, values),
    };
    const other = await startServer({ ...database.engine, reader }, { beside: server });
    slow = true;
    const readers = new Api(other.url, server.key);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => readers.call('getAccountBalance', { id: account })),
    );
    for (const answer of answers) expectProblem(answer, 'unavailable');
    expect(other.errors).toHaveLength(1);
    await other.close();
  });
});
