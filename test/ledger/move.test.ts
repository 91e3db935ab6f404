import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportLedger, importLedger, verifyLedger } from '../../src/ledger/index.js';
import { LEDGER_TABLES } from '../../src/store/tables.js';
import { Api, expectStatus, expectTransaction } from '../harness/api.js';
import {
  onEngine,
  PGLITE,
  POSTGRES,
  type TestDatabase,
  type TestEngine,
} from '../harness/engines.js';
import { startServer } from '../harness/server.js';
import { createStore } from '../harness/store.js';

/** A ledger goes to the other engine and comes back the same to the letter, or not at all. */

const folder = mkdtempSync(join(tmpdir(), 'tallystick-move-'));
afterAll(() => rmSync(folder, { recursive: true }));

onEngine(POSTGRES, () => {
  let from: TestDatabase;
  let to: TestDatabase;
  const file = join(folder, 'all.gz');
  beforeAll(async () => {
    [from, to] = [await PGLITE.create(), await POSTGRES.create()];
    await createStore(from.engine);
    await from.engine.reader.query(
      `insert into tallystick.accounts (store_id, account_id, customer_id, name, name_key,
         unit_label, status, balance, version, created_at, updated_at, posted_at, metadata)
       select store_id, gen_random_uuid(), 'c' || n, 'né 😀 "\\', 'k', 'u', 'active', 0, 0,
         now(), now(), now(), '{"a": 12345678901234567890.10, "b": "\\n"}'
       from tallystick.stores, generate_series(1, 2500) as n`,
    );
    await exportLedger(from.engine, file);
  });
  afterAll(() => Promise.all([from?.drop(), to?.drop()]));

  test('every table of the schema is moved', async () => {
    const { rows } = await from.engine.reader.query(
      "select tablename from pg_tables where schemaname = 'tallystick'",
    );
    const names = rows.map(({ tablename }) => tablename).filter((name) => name !== 'migrations');
    expect(names.sort()).toEqual([...LEDGER_TABLES].sort());
  });

  test('damage, cuts and other formats are refused, and nothing is left', async () => {
    const text = gunzipSync(readFileSync(file)).toString();
    const lines = text.trimEnd().split('\n');
    const bad: (readonly [string, Buffer])[] = [
      ['cut', readFileSync(file).subarray(0, -20)],
      ['trailer', gzipSync(`${lines.slice(0, -1).join('\n')}\n`)],
      ['flipped', gzipSync(text.replace('"c7"', '"x7"'))],
      ['no JSON', gzipSync(text.replace('"c7"', '"c7'))],
      ['version', gzipSync(text.replace('"version":1', '"version":2'))],
      ['other', gzipSync('hello\n')],
      ['plain', Buffer.from('hello')],
    ];
    for (const [name, bytes] of bad) {
      const path = join(folder, name);
      writeFileSync(path, bytes);
      await expect(importLedger(to.engine, path), name).rejects.toThrow(/damaged|no export|format/);
      const { rows } = await to.engine.reader.query('select 1 from tallystick.stores');
      expect(rows).toEqual([]);
    }
  });

  test('there and back is the same, and only an empty database takes it', async () => {
    await importLedger(to.engine, file);
    await expect(importLedger(to.engine, file)).rejects.toThrow(/has stores already/);
    const back = join(folder, 'back.gz');
    await exportLedger(to.engine, back);
    await expect(exportLedger(to.engine, back)).rejects.toThrow(/there already/);
    expect(gunzipSync(readFileSync(back)).equals(gunzipSync(readFileSync(file)))).toBe(true);
    expect(statSync(back).mode & 0o777).toBe(0o600);
    expect((await verifyLedger(to.engine)).clean).toBe(true);
  });
});

/** One of everything, and what reads it again; the store's clock stands, so that nothing changes. */
async function doEverything(api: Api): Promise<string[]> {
  const post = async (path: string, body: object) => {
    const answer = await api.send('POST', path, { body });
    expect([200, 201], JSON.stringify(answer.body)).toContain(answer.status);
    return answer.body;
  };
  const { id } = await api.open({ initial_balance: '100', name: 'Café 😀' });
  const account = `/v1/customer-credits/accounts/${id}`;
  const move = (key: string, amount = '10') => {
    return { amount, reference: 'odd "text" \\ é', idempotency_key: key };
  };
  await post('/v1/webhooks', { delivery_mode: 'cli' });
  const expires_at = new Date(Date.now() + 30 * 86_400_000).toISOString();
  const kept = await post(`${account}/credit`, { ...move('kept', '50'), expires_at });
  await post(`${account}/credit`, { ...move('void', '7'), expires_at, metadata: { a: 'b' } });
  const hold = await post(`${account}/holds`, move('hold'));
  await post(`/v1/customer-credits/holds/${hold.id}/capture`, {
    amount: '4',
    idempotency_key: 'capture',
  });
  await post(`${account}/holds`, move('open'));
  const debited = expectTransaction(await api.debit(id, '3', 'reversed'));
  await post(`/v1/customer-credits/transactions/${debited.id}/reverse`, {});
  const grants = expectStatus(await api.send('GET', `${account}/grants`), 200).data;
  const voided = grants.find(({ amount }: { amount: string }) => amount === '7');
  await post(`/v1/customer-credits/grants/${voided.id}/void`, {});
  await post('/v1/test/clock', { advance: 86_400 });
  expectTransaction(await api.debit(id, '1', 'once'));
  const { items } = expectStatus(await api.send('GET', '/v1/webhooks'), 200);
  return [
    account,
    `${account}/balance`,
    `${account}/balance?at=${new Date().toISOString()}`,
    `${account}/balance?at=2100-01-01`,
    `${account}/entries`,
    `${account}/grants`,
    `${account}/holds`,
    `/v1/customer-credits/transactions/${kept.id}`,
    `/v1/webhooks/${items[0].id}/secret`,
    `/v1/webhooks/${items[0].id}/events/pending`,
    '/v1/test/clock',
  ];
}

onEngine(POSTGRES, () => {
  const ways: [TestEngine, TestEngine][] = [
    [PGLITE, POSTGRES],
    [POSTGRES, PGLITE],
  ];
  test.each(ways)('from $name, everything is the same on the other side', async (one, other) => {
    const [from, to] = [await one.create(), await other.create()];
    const before = await startServer(from.engine);
    const api = new Api(before.url, before.key);
    const paths = await doEverything(api);
    const file = join(folder, `${one.name}.gz`);
    await exportLedger(from.engine, file);
    await importLedger(to.engine, file);
    expect((await verifyLedger(to.engine)).clean).toBe(true);

    const after = await startServer(to.engine, { beside: before });
    const moved = new Api(after.url, before.key);
    for (const path of paths) {
      const { status, body } = await api.send('GET', path);
      expect(status, path).toBe(200);
      expect((await moved.send('GET', path)).body, path).toEqual(body);
    }
    const id = paths[0]!.split('/').at(-1)!;
    // The key is taken there as well, and its answer is the first one.
    const first = expectTransaction(await api.debit(id, '1', 'once'));
    expect(expectTransaction(await moved.debit(id, '1', 'once'))).toEqual(first);
    expectTransaction(await moved.debit(id, '1', 'another'));
    expect((await verifyLedger(to.engine)).clean).toBe(true);

    await Promise.all([before.close(), after.close()]);
    await Promise.all([from.drop(), to.drop()]);
  });
});
