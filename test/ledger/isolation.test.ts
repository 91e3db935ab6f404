import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openCommand } from '../../src/ledger/commands.js';
import {
  Ledger,
  listKeys,
  migrate,
  pendingMigrations,
  schemaFault,
} from '../../src/ledger/index.js';
import { type Engine, Lane } from '../../src/store/engine/db.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { apply, listMigrations } from '../../src/store/schema/migrate.js';
import { Api, expectStatus, uniqueName } from '../harness/api.js';
import { type Isolation, onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { createStore } from '../harness/store.js';

/** A database whose transactions are of a higher level, unless they say otherwise. */

/**
 * What all stores need is on every machine of a Citus cluster, and a change of it is agreed on by
 * all: fewer changes of one row fit into the time that a statement has.
 */
const CALLERS = inject('postgres')?.citus ? 5 : 40;
const LEVELS: readonly Isolation[] = ['repeatable read', 'serializable'];

onEngine(POSTGRES, (engine) => {
  describe.each(LEVELS)('at %s', (isolation) => {
    let database: TestDatabase;
    const servers: TestServer[] = [];
    let apis: Api[];

    beforeAll(async () => {
      database = await engine.create({ isolation });
      servers.push(await startServer(database.engine));
      servers.push(await startServer(await database.another(), { beside: servers[0]! }));
      apis = servers.map(({ url, key }) => new Api(url, key));
    });
    afterAll(async () => {
      for (const server of servers) expect(server.errors).toEqual([]);
      await Promise.all(servers.map((server) => server.close()));
      await database.drop();
    });

    const times = <T>(count: number, work: (api: Api, index: number) => Promise<T>) =>
      Promise.all(Array.from({ length: count }, (_, n) => work(apis[n % apis.length]!, n)));

    test('webhooks are made, changed and rotated at the same time', async () => {
      const body = { delivery_mode: 'cli' };
      const made = await times(10, (api) => api.call('createWebhook', { body }));
      const { id } = expectStatus(made[0]!, 200);
      for (const answer of made) expectStatus(answer, 200);
      const changed = await times(CALLERS, (api, n) =>
        n % 2 === 0
          ? api.call('updateWebhook', { id, body: { name: uniqueName('name') } })
          : api.call('rotateWebhookSecret', { id, body: {} }),
      );
      for (const answer of changed) expect(answer.status).toBeLessThan(300);
    });

    test('the clock is moved by many, and each move counts once', async () => {
      await apis[0]!.call('moveClock', { body: { now: '2030-01-01T00:00:00Z' } });
      const moves = await times(CALLERS, (api) => api.call('moveClock', { body: { advance: 60 } }));
      for (const answer of moves) expectStatus(answer, 200);
      const { body } = await apis[0]!.call('getClock');
      expect(Date.parse(body.now) - Date.parse('2030-01-01')).toBe(CALLERS * 60_000);
      await apis[0]!.call('resetClock');
    });
  });

  test.each(LEVELS)('at %s batches and migrations are read committed', async (level) => {
    const database = await engine.create({ isolation: level });
    const begun: string[] = [];
    const asking = (lane: Lane): Lane => {
      const note = async (text: string | undefined) => {
        if (!text?.startsWith('begin')) return;
        const { rows } = await lane.query('show transaction_isolation');
        begun.push(rows[0].transaction_isolation);
      };
      return new Lane(async (statements) => {
        const results = await lane.send(statements);
        await note(statements[0]?.text);
        return results;
      });
    };
    const { onLane } = database.engine;
    const ledger = new Ledger({
      ...database.engine,
      onLane: (work) => onLane((lane) => work(asking(lane))),
    });
    const fields = { customerId: 'c', name: 'n', unitLabel: 'u', initialBalance: 1n };
    const opened = await ledger.execute(await createStore(database.engine), openCommand(fields));
    expect(opened.kind).toBe('account');
    const migration = { version: 9999, name: 'next', sql: 'select 1;' };
    await database.engine.onSession((lane) => apply(asking(lane), migration));
    expect(begun).toEqual(['read committed', 'read committed']);
    await database.drop();
  });

  test.each(['23505', '42P06', '40001'])(
    'a migration that meets %s finds it done',
    async (code) => {
      const database = await engine.create();
      await database.engine.onSession((lane) => lane.query('drop schema tallystick cascade'));
      const lost = Object.assign(new Error('Another was first.'), { code });
      let left = 2;
      let sessions = 0;
      const losing = (isMeant: boolean) => isMeant && left-- > 0;
      const { reader, onSession } = database.engine;
      const applied = await migrate({
        ...database.engine,
        reader: {
          query: (text, values) =>
            losing(text.startsWith('create schema'))
              ? Promise.reject(lost)
              : reader.query(text, values),
        },
        onSession: (work) => (!sessions++ ? Promise.reject(lost) : onSession(work)),
      });
      expect(applied.length).toBe((await listMigrations()).length);
      await database.drop();
    },
  );

  test.each(LEVELS)('at %s three programs migrate one empty database at once', async (level) => {
    const database = await engine.create({ isolation: level });
    const engines: Engine[] = [];
    try {
      await database.engine.onSession((lane) => lane.query('drop schema tallystick cascade'));
      for (let n = 0; n < 3; n++) engines.push(await openPostgres({ url: database.url! }));
      const applied = await Promise.all(engines.map(migrate));
      // Each migration is applied by one of them.
      const versions = applied.flat().map(({ version }) => version);
      expect(versions.sort((a, b) => a - b)).toEqual(versions.map((_, index) => index + 1));
      expect(await pendingMigrations(engines[0]!.reader)).toEqual([]);
      expect(await schemaFault(engines[0]!.reader)).toBeUndefined();
      expect(await listKeys(engines[0]!.reader)).toEqual([]);
    } finally {
      await Promise.all(engines.map((each) => each.close()));
      await database.drop();
    }
  });
});
