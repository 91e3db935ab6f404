import { cpSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { randomFrom, seedOf } from '../harness/seed.js';
import { until } from '../harness/until.js';
import { call, startReceiver } from '../webhooks/harness.js';
import { Api, KEY, Load } from './api.js';
import {
  Cluster,
  POSTGRES_BINARIES,
  REPOSITORY,
  run,
  type ServerProcess,
  startServer,
  temporaryDirectory,
} from './harness.js';

/** Servers that share a database while one of them is stopped, or is of another version. */

const START = 1_000_000;

describe.skipIf(POSTGRES_BINARIES === undefined)('several servers on one PostgreSQL', () => {
  let cluster: Cluster;
  let url: string;
  let accounts: string[];
  const servers: ServerProcess[] = [];

  beforeAll(async () => {
    cluster = await Cluster.start({ fsync: 'off' });
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.kill('SIGKILL')));
  });
  afterAll(() => cluster.stop());

  async function start(settings: Record<string, string> = {}, main?: string) {
    const all = { DATABASE_URL: url, TALLYSTICK_API_KEY: KEY, ...settings };
    const server = await startServer(all, main);
    servers.push(server);
    return { ...server, api: new Api(server.url, KEY) };
  }

  async function openAccounts(api: Api): Promise<void> {
    const names = ['a', 'b', 'c', 'd'];
    accounts = await Promise.all(names.map((name) => api.open(name, String(START))));
  }

  async function expectSound(load: Load, api: Api): Promise<void> {
    expect(load.wrong).toEqual([]);
    expect(await load.missing(api)).toEqual([]);
    for (const account of accounts) {
      expect(await api.balance(account)).toBe(load.expected(account, START));
    }
  }

  async function countOf(rows: string): Promise<number> {
    return (await cluster.sql(`select count(*)::int as count from tallystick.${rows}`, url))[0]
      .count;
  }

  const ownerOfLease = async () =>
    (await cluster.sql('select lease_owner from tallystick.webhook_endpoints', url))[0].lease_owner;

  test('one that is stopped for longer than its time-outs loses and doubles nothing', async () => {
    url = await cluster.database();
    const settings = {
      TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1',
      // Its leases last for three seconds, and its transactions for two while it is silent.
      TALLYSTICK_WEBHOOK_TIMEOUT: '500ms',
      TALLYSTICK_WEBHOOK_RETRY: `0s${',100ms'.repeat(14)}`,
    };
    let answers = false;
    const receiver = await startReceiver((_, response) => answers && response.end('ok'));
    const stopped = await start(settings);
    await openAccounts(stopped.api);
    await call(stopped.url, 'POST', '/v1/webhooks', { url: receiver.url }, KEY);
    const load = new Load(accounts, randomFrom(seedOf('several servers')));
    const itsClients = load.start(stopped.api, { untilRefused: false });
    // It has more to deliver than it attempts at once, and holds the lease for as long as it has.
    await until('it delivers under load', () => load.acknowledged > 100 && receiver.got.length > 0);
    const owner = await ownerOfLease();
    expect(owner).not.toBeNull();
    const other = await start(settings);
    process.kill(stopped.pid, 'SIGSTOP');
    expect(await ownerOfLease(), 'the one that is stopped holds the lease').toBe(owner);
    answers = true;

    void load.start(other.api, { untilRefused: false });
    const goal = load.acknowledged + 100;
    const expiring = { amount: '7', reference: 'expiring', idempotency_key: 'expiring' };
    const expires_at = new Date(Date.now() + 1_000).toISOString();
    // Its own account, for the load would use some of it.
    const lent = await other.api.open('lent', '0');
    await other.api.post(`/accounts/${lent}/credit`, { ...expiring, expires_at });
    await until('the other writes', () => load.acknowledged >= goal);
    await until('the other sweeps', () => countOf("transactions where operation = 'expire'"));
    await load.stop();
    // What its clients were not answered, the other answers by the key.
    await load.retry(other.api);
    await until('the other delivers all of it', async () => {
      const due = 'deliveries where due_at is not null';
      return (await countOf('outbox')) + (await countOf(due)) === 0;
    });
    await until('the other gives the lease back', async () => (await ownerOfLease()) === null);

    const told = new Set(receiver.got.map(({ event }) => event.id));
    const before = receiver.got.length;
    process.kill(stopped.pid, 'SIGCONT');
    // Each of them gets the answer that the other gave, or 503.
    await itsClients;
    for (const side of ['credit', 'debit']) {
      const last = { amount: '1', reference: 'last', idempotency_key: `last ${side}` };
      const { status } = await stopped.api.post(`/accounts/${accounts[1]}/${side}`, last);
      expect(status).toBe(201);
    }
    await until('the last is delivered', async () => (await countOf('outbox')) === 0);
    const again = receiver.got.slice(before).filter(({ event }) => told.has(event.id));
    expect(
      again.map(({ event }) => event.id),
      'delivered again',
    ).toEqual([]);
    await expectSound(load, other.api);
    expect((await run(['verify'], { DATABASE_URL: url })).code).toBe(0);
    await receiver.close();
  });

  async function readiness({ url: server }: ServerProcess): Promise<unknown> {
    return (await fetch(`${server}/readyz`)).json();
  }

  /** The program with one migration more. */
  function nextVersion(): { main: string; version: number } {
    const folder = temporaryDirectory();
    for (const part of ['dist', 'sql', 'package.json', 'openapi.json']) {
      cpSync(join(REPOSITORY, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
    const files = readdirSync(join(folder, 'sql')).filter((name) => /^\d{4}_/.test(name));
    const version = files.length + 1;
    const name = `${String(version).padStart(4, '0')}_note.sql`;
    const sql =
      '-- Only the next version knows it.\nalter table tallystick.accounts add note text;\n';
    writeFileSync(join(folder, 'sql', name), sql);
    return { main: join(folder, 'dist/cli/main.js'), version };
  }

  test('an older one beside a newer schema reads, and refuses clearly to write', async () => {
    url = await cluster.database();
    const next = nextVersion();
    const old = await start();
    await openAccounts(old.api);
    const load = new Load(accounts, randomFrom(seedOf('several servers')));
    void load.start(old.api, { untilRefused: false });
    await until('it writes', () => load.acknowledged > 100);
    const pending = await run(['keys', 'list'], { DATABASE_URL: url }, tmpdir(), next.main);
    expect([pending.code, pending.stderr]).toEqual([3, expect.stringMatching(/lacks 1 of/)]);

    const newer = await start({}, next.main);
    await load.stop();
    const says = `The database has migration ${next.version}, and this tallystick knows only up to ${next.version - 1}. Start the newer version.`;
    expect(await readiness(old)).toEqual({ status: 'not ready', reason: says });
    const move = { amount: '1', reference: 'r', idempotency_key: 'late' };
    const { status, body } = await old.api.post(`/accounts/${accounts[0]}/credit`, move);
    expect([status, body.error.code, body.error.message]).toEqual([503, 'unavailable', says]);
    const again = await run(['serve'], { DATABASE_URL: url, PORT: '0' });
    expect([again.code, again.stderr]).toEqual([3, expect.stringContaining(says)]);

    expect((await fetch(`${newer.url}/readyz`)).status).toBe(200);
    await load.retry(newer.api);
    await expectSound(load, newer.api);
    expect(await old.api.balance(accounts[0]!)).toBe(await newer.api.balance(accounts[0]!));
    const proof = await run(['verify'], { DATABASE_URL: url }, tmpdir(), next.main);
    expect(proof.code).toBe(0);

    // As it is where the database is restored to before the migration.
    const { version } = next;
    await cluster.sql(`delete from tallystick.migrations where version = ${version}`, url);
    // That all is well is known for a second.
    const answer = { status: 'not ready', reason: 'migrations are pending' };
    await until('it is not', async () => !(await fetch(`${newer.url}/readyz`)).ok);
    expect(await readiness(newer)).toEqual(answer);
  });
});
