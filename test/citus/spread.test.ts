import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { apply } from '../../src/store/schema/migrate.js';
import { APPEND_ONLY } from '../../src/store/schema/tables.js';
import { run, type ServerProcess, startServer } from '../e2e/harness.js';
import { createOnMachines, dropSpread, machinesByStore } from '../harness/citus.js';
import { onServer } from '../harness/database.js';
import { until } from '../harness/until.js';
import { call, startReceiver } from '../webhooks/harness.js';
import {
  CITUS,
  CLEAN,
  type LoadedStore,
  makeKeys,
  openStores,
  progressOf,
  settle,
  startAll,
  verified,
} from './stores.js';

/**
 * What the tables of several stores do on the machines of a cluster. Its tests follow on one
 * another, from an empty database to one of a newer program.
 */

const STORES = 6;
const SEED = 20;

describe.skipIf(CITUS === undefined)('on Citus', { timeout: 240_000 }, () => {
  const name = `tallystick_spread_${process.pid}`;
  let url: string;
  let server: ServerProcess;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let stores: LoadedStore[];

  beforeAll(async () => {
    url = await createOnMachines(CITUS!.url, name);
    receiver = await startReceiver();
  });
  afterAll(async () => {
    await server?.kill('SIGKILL');
    await receiver.close();
    await dropSpread(CITUS!.url, name);
  });

  const command = (...values: string[]) => run(values, { DATABASE_URL: url });
  const sql = (text: string) => onServer(url, text);
  /** What `doctor` says of one thing. */
  const examined = async (check: string) => {
    const { stdout } = await command('doctor', '--json');
    const { checks } = JSON.parse(stdout);
    return checks.find((found: { check: string }) => found.check === check);
  };

  test('a distribution that fails half-way says so, and the next one goes on', async () => {
    expect((await command('migrate')).code).toBe(0);
    // Citus spreads no table with a trigger that it has not been told of.
    await sql(`create trigger strange before update on tallystick.holds
      for each row execute function tallystick.refuse_change()`);
    const failed = await command('migrate', '--distribute');
    expect([failed.code, failed.stdout]).toEqual([3, '']);
    expect(failed.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(failed.stderr).toMatch(/tallystick\.holds.*run tallystick migrate --distribute again/);
    expect(await examined('citus')).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/are holds, webhook_endpoints, outbox, deliveries\. Run/),
    });
    await sql('drop trigger strange on tallystick.holds');
    for (let times = 0; times < 2; times++) {
      expect(await command('migrate', '--distribute')).toMatchObject({ code: 0, stderr: '' });
    }
    expect((await examined('citus')).status).toBe('ok');
    expect((await examined('append-only')).status).toBe('ok');
  });

  test('a server writes to stores on different machines', async () => {
    const keys = await makeKeys(url, STORES);
    server = await startServer({ DATABASE_URL: url, TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1' });
    stores = await openStores(server.url, keys, SEED);
    const machines = await machinesByStore(url);
    expect(new Set(stores.map((store) => machines.get(store.name))).size).toBeGreaterThan(1);
  });

  test('nothing that was posted is changed on any machine', async () => {
    for (const table of APPEND_ONLY) {
      for (const change of [`delete from tallystick.${table}`, `truncate tallystick.${table}`]) {
        await expect(sql(change), change).rejects.toThrow(/is append-only/);
      }
    }
  });

  test('webhooks are delivered and what has ended is swept in every store', async () => {
    for (const { key } of stores) {
      const body = { url: receiver.url, events: ['credits.granted', 'credits.expired'] };
      const made = await call(server.url, 'POST', '/v1/webhooks', body, key);
      expect(made.status).toBe(200);
    }
    const ends = new Date(Date.now() + 3_000).toISOString();
    const ids = await Promise.all(
      stores.map(async ({ api, accounts }) => {
        const body = { amount: '1', reference: 'r', idempotency_key: 'ends', expires_at: ends };
        const answer = await api.post(`/accounts/${accounts[0]}/credit`, body);
        expect(answer.status).toBe(201);
        return answer.body.id as string;
      }),
    );
    const told = () => receiver.got.map(({ text }) => text).join();
    await until('each credit is told', () => ids.every((id) => told().includes(id)));
    const ended = () =>
      receiver.got.filter(({ event }) => event.eventType === 'credits.expired').length >= STORES;
    await until('each end is told', ended);
  });

  test('shards are moved while all stores are written to', async () => {
    startAll(stores);
    await until('all are written to', progressOf(stores, 20));
    const before = await machinesByStore(url);
    const moved = stores[0]!.name;
    const workers = await sql(
      'select nodename as host, nodeport as port from pg_dist_node where groupid > 0',
    );
    const [host, port] = before.get(moved)!.split(':') as [string, string];
    const other = workers.find((worker) => worker.port !== Number(port) || worker.host !== host);
    await sql(`select citus_move_shard_placement(
      get_shard_id_for_distribution_column('tallystick.accounts', store_id),
      '${host}', ${port}, '${other.host}', ${other.port}, 'force_logical')
      from tallystick.stores where name = '${moved}'`);
    await until('all are written to again', progressOf(stores, 20));
    expect(await settle(stores)).toEqual([]);
    expect((await machinesByStore(url)).get(moved)).toBe(`${other.host}:${other.port}`);
    expect(await verified(url)).toEqual(CLEAN);
    await expect(sql('delete from tallystick.entries')).rejects.toThrow(/is append-only/);
  });

  test('a migration follows on tables that are spread', async () => {
    const engine = await openPostgres({ url });
    const migration = {
      version: 9999,
      name: '9999_next.sql',
      sql: `alter table tallystick.transactions add column later text;
        create index later on tallystick.transactions (store_id, later);`,
    };
    await engine.onSession((session) => apply(session, migration));
    await engine.close();
    expect(await sql('select distinct schema from tallystick.stores')).toEqual([{ schema: 9999 }]);
    const ready = async () => (await fetch(`${server.url}/readyz`)).status;
    await until('the older server gives way', async () => (await ready()) === 503);
    expect((await command('serve')).stderr).toMatch(/newer/);
  });
});
