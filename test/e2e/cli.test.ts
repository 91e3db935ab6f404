import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api } from './api.js';
import {
  Cluster,
  ENGINES,
  POSTGRES_BINARIES,
  REPOSITORY,
  run,
  type ServerProcess,
  startServer,
  temporaryDirectory,
} from './harness.js';

/** The commands as an operator runs them, and what becomes of keys. */

describe('the command line', () => {
  test.each([
    [['servee'], /^tallystick: unknown command 'servee'/],
    [['serve', '--bad'], /^tallystick: unknown option '--bad'/],
    [['verify', 'extra'], /^tallystick: too many arguments/],
    [['keys', 'create', '--mode', 'x'], /^tallystick: .*Allowed choices are test, live/],
    [['keys', 'create', '--scope', 'x'], /^tallystick: --scope must be one of/],
    [['keys', 'revoke', 'x'], /^tallystick: A key id has the form/],
    [['migrate', '--distribute'], /^tallystick: --distribute needs a Citus cluster/],
  ])('%j is refused in one line, with exit code 2', async (values, line) => {
    const { code, stdout, stderr } = await run(values);
    expect(stderr).toMatch(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('shows help, and its version', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stderr: '' });
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await run([])).toMatchObject({ code: 2, stdout: '' });
  });

  test('says no more than a line of what it did not expect, except in debug', async () => {
    // A directory cannot be made below a file.
    const settings = { TALLYSTICK_DATA_DIR: '/dev/null/data' };
    const short = await run(['migrate'], settings);
    expect(short.code).toBe(1);
    expect(short.stderr.trimEnd().split('\n')).toHaveLength(1);
    const long = await run(['migrate'], { ...settings, LOG_LEVEL: 'debug' });
    expect(long.stderr).toMatch(/\n\s+at /);
  });
});

// Commands differ little by engine, and each takes a second to open PGlite, so one will do.
describe.each(ENGINES.slice(-1))('on %s', (engine) => {
  let cluster: Cluster | undefined;
  let settings: Record<string, string>;
  let directory: string;

  beforeAll(async () => {
    if (engine === 'PostgreSQL') {
      cluster = await Cluster.start();
      settings = { DATABASE_URL: await cluster.database() };
    } else {
      directory = join(temporaryDirectory(), 'data');
      settings = { TALLYSTICK_DATA_DIR: directory };
    }
  });

  afterAll(() => cluster?.stop());

  async function json(values: string[]) {
    const { stdout, stderr } = await run([...values, '--json'], settings);
    expect(stderr).toBe('');
    return JSON.parse(stdout);
  }

  test('nothing but migrate and serve begins a database', async () => {
    for (const command of [['verify'], ['keys', 'list'], ['keys', 'create']]) {
      const { code, stderr } = await run(command, settings);
      expect([code, stderr]).toEqual([3, expect.stringMatching(/no data in|lacks \d+ of/)]);
    }
  });

  test('migrate --plan prints what migrate then runs, and runs nothing', async () => {
    const plan = await run(['migrate', '--plan'], settings);
    expect(plan.stdout).toContain('create table tallystick.entries');
    const files = readdirSync(join(REPOSITORY, 'sql'))
      .filter((name) => /^\d{4}_/.test(name))
      .sort();
    expect((await json(['migrate', '--plan'])).sql).toHaveLength(1 + files.length);
    const distributed = await run(['migrate', '--plan', '--distribute'], {
      DATABASE_URL: 'postgres://x@127.0.0.1:1/none',
      ...settings,
    });
    if (engine === 'PostgreSQL') expect(distributed.stdout).toContain('create_distributed_table');
    expect(await json(['migrate'])).toMatchObject({ applied: files });
    expect(await json(['migrate'])).toMatchObject({ applied: [] });
    expect((await run(['migrate', '--plan'], settings)).stdout).toBe('');
  });

  test('the plan can be run by hand', async () => {
    if (cluster === undefined) return;
    const url = await cluster.database();
    const { stdout } = await run(['migrate', '--plan'], { DATABASE_URL: url });
    await cluster.sql(stdout, url);
    expect((await run(['migrate'], { DATABASE_URL: url })).stdout).toBe('Nothing to apply.\n');
    expect((await run(['verify'], { DATABASE_URL: url })).code).toBe(0);
  });

  test('keys are created, listed and revoked, and shown once', async () => {
    const values = ['keys', 'create', '--mode', 'live', '--store', 'shop', '--name', 'reader'];
    const created = await json([...values, '--scope', 'credits:read']);
    expect(created.key).toMatch(/^tally_live_[\w-]{32}$/);
    expect(created).toMatchObject({ store: 'shop', mode: 'live', scopes: ['credits:read'] });
    const plain = await run(['keys', 'create'], settings);
    expect(plain.stdout).toMatch(/^tally_test_[\w-]{32}\n$/);
    expect(plain.stderr).toMatch(/key_\w{22} .*\n.*only time/);

    const listed = await run(['keys', 'list'], settings);
    expect(listed.stdout).toContain(created.id);
    expect(listed.stdout + JSON.stringify(await json(['keys', 'list']))).not.toContain(created.key);

    expect(await json(['keys', 'revoke', created.id])).toEqual({ id: created.id, revoked: true });
    const again = await run(['keys', 'revoke', created.id], settings);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('no valid key')]);
    const revoked = (await json(['keys', 'list'])).find(
      ({ id }: { id: string }) => id === created.id,
    );
    expect(revoked).toMatchObject({ last_used_at: null, revoked_at: expect.any(String) });
  });

  test('doctor looks at everything', async () => {
    const { checks } = await json(['doctor']);
    const statuses = Object.fromEntries(
      checks.map((found: { check: string; status: string }) => [found.check, found.status]),
    );
    const durable = { fsync: 'ok', synchronous_commit: 'ok', full_page_writes: 'ok' };
    expect(statuses).toMatchObject({
      node: 'ok',
      version: 'ok',
      migrations: 'ok',
      clock: 'ok',
      'append-only': 'ok',
      ...(engine === 'PostgreSQL' ? { postgresql: 'ok', ...durable } : { durability: 'warn' }),
    });
    expect((await run(['doctor'], settings)).stdout).not.toContain('\u001b');
    const away = await run(['doctor'], { DATABASE_URL: 'postgres://x@127.0.0.1:1/none' });
    expect([away.code, away.stdout]).toEqual([3, expect.stringContaining('fail postgresql')]);
  });

  test('doctor and verify fail where the ledger was tampered with', async () => {
    if (cluster === undefined) return;
    const url = settings.DATABASE_URL!;
    const trigger = 'trigger entries_append_only';
    await cluster.sql(`alter table tallystick.entries disable ${trigger}`, url);
    const doctor = await run(['doctor'], settings);
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringContaining('fail append-only')]);
    const entry = `insert into tallystick.entries
      select store_id, gen_random_uuid(), 0, gen_random_uuid(), 1, 1, 1, now()
      from tallystick.stores limit 1`;
    await cluster.sql(entry, url);
    const { code, stdout } = await run(['verify', '--json'], settings);
    expect(code).toBe(1);
    const kinds = JSON.parse(stdout).differences.map(({ kind }: { kind: string }) => kind);
    expect(kinds).toContain('entries_without_transaction');
    const text = await run(['verify'], settings);
    expect(text.stdout).toMatch(/Not clean.*\n.*the first at cct_\w{22} of sto_\w{22}/);
    await cluster.sql('delete from tallystick.entries', url);
    await cluster.sql(`alter table tallystick.entries enable ${trigger}`, url);
    expect((await run(['verify'], settings)).code).toBe(0);
  });
});

describe.skipIf(POSTGRES_BINARIES === undefined)('verify', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.stop());

  test('tells of warnings, and exits with 0', async () => {
    const url = await cluster.database();
    const settings = { DATABASE_URL: url };
    await run(['migrate'], settings);
    await run(['keys', 'create'], settings);
    const account = `insert into tallystick.accounts (store_id, account_id, customer_id, name,
        name_key, unit_label, status, balance, version, created_at, updated_at, posted_at)
      select store_id, gen_random_uuid(), ' c', 'a', 'a', 'u', 'active', 0, 0, now(), now(), now()
      from tallystick.stores`;
    await cluster.sql(account, url);
    const text = await run(['verify'], settings);
    expect([text.code, text.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^Clean: .*\nWarning: customer_id_not_trimmed \(1\), the first at cca_\w{22} of sto_\w{22}: expected "c", found " c"\n$/,
      ),
    ]);
    const { code, stdout } = await run(['verify', '--json'], settings);
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { clean: true, differences: [], warnings: [{ kind: 'customer_id_not_trimmed', count: 1 }] },
    ]);
  });
});

describe.skipIf(POSTGRES_BINARIES === undefined)('a role of few rights', () => {
  let cluster: Cluster;
  let server: ServerProcess | undefined;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });

  afterAll(async () => {
    await server?.kill('SIGKILL');
    await cluster.stop();
  });

  test('as docs/operations.md grants it runs a server, and can change no entry', async () => {
    // A pooler of the suite knows one role, and what is looked at is another.
    const url = cluster.direct(await cluster.database());
    await run(['migrate'], { DATABASE_URL: url });
    const page = readFileSync(join(REPOSITORY, 'docs/operations.md'), 'utf8');
    const grants = /```sql\n([\s\S]*?)```/.exec(page)![1]!;
    await cluster.sql(`create role tallystick_server login; ${grants}`, url);
    await cluster.sql('drop trigger entries_append_only on tallystick.entries', url);
    const settings = { DATABASE_URL: url.replace('postgres@', 'tallystick_server@') };
    server = await startServer(settings);
    const api = new Api(server.url, server.key!);
    const account = await api.open('a', '5');
    const move = { amount: '1', reference: 'r', idempotency_key: 'k' };
    expect((await api.post(`/accounts/${account}/debit`, move)).status).toBe(201);
    expect((await api.post(`/accounts/${account}/freeze`)).status).toBe(200);
    expect((await run(['doctor'], settings)).stdout).toMatch(/ok +append-only: the role/);
    expect((await run(['verify'], settings)).code).toBe(0);
    const change = `set role tallystick_server; update tallystick.entries set amount = 9`;
    await expect(cluster.sql(change, url)).rejects.toThrow(/permission denied/);
  });
});

/** Everything below a directory, as one text. */
function textOf(directory: string): string {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return files
    .map((file) => join(directory, file))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1'))
    .join('\n');
}

describe.each(ENGINES)('the first start on %s', (engine) => {
  let cluster: Cluster | undefined;
  let server: ServerProcess | undefined;

  afterAll(async () => {
    await server?.kill('SIGKILL');
    await cluster?.stop();
  });

  test('prints a key once, and it is in no log and no table', async () => {
    const directory = join(temporaryDirectory(), 'data');
    if (engine === 'PostgreSQL') cluster = await Cluster.start();
    const url = await cluster?.database();
    const place = url === undefined ? { TALLYSTICK_DATA_DIR: directory } : { DATABASE_URL: url };
    const settings: Record<string, string> = { ...place, LOG_LEVEL: 'debug' };

    server = await startServer(settings);
    const key = server.key!;
    expect(key).toMatch(/^tally_test_[\w-]{32}$/);
    const account = await new Api(server.url, key).open('first', '5');
    expect((await new Api(server.url, `${key}x`).get(`/accounts/${account}`)).status).toBe(401);
    const first = await server.kill('SIGTERM');
    expect(first.code).toBe(0);
    expect(first.stdout.split(key)).toHaveLength(2);

    server = await startServer(settings);
    expect(server.key).toBeUndefined();
    expect(await new Api(server.url, key).balance(account)).toBe('5');
    const second = await server.kill('SIGTERM');

    const secret = key.slice(-20);
    const stored = url === undefined ? textOf(directory) : await cluster!.textOf(url);
    const logs = first.stderr + second.stdout + second.stderr;
    expect(logs).toContain('"operation":"getAccountBalance"');
    expect(logs.includes(secret) || stored.includes(secret)).toBe(false);
    expect(stored).toContain(key.slice(0, 16));
  });
});
