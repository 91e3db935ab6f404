import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommand } from '../../src/ledger/commands.js';
import {
  checkExport,
  type Engine,
  ensureKey,
  exportLedger,
  generateKey,
  importLedger,
  Ledger,
  listKeys,
  listStores,
  migrate,
  schemaFault,
  verifyLedger,
} from '../../src/ledger/index.js';
import { NEWEST } from '../../src/store/schema/migrate.js';
import { MOVED_TABLES } from '../../src/store/schema/move.js';
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

/** Few, so that a small ledger takes several transactions. */
const COMMIT_ROWS = 1_000;

const moveIn = async (engine: Engine, path: string, onMoved?: (done: number) => void) =>
  importLedger(engine, await checkExport(path), onMoved, COMMIT_ROWS);

/** The lines of a file; the header's time and the checksum differ each time that it is made. */
const linesOf = (path: string) => gunzipSync(readFileSync(path)).toString().trimEnd().split('\n');
const rowsOf = (path: string) => linesOf(path).slice(1, -1);

/** A file of such lines whose checksum is right. */
function writeFile(name: string, lines: readonly string[]): string {
  const text = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(text).digest('hex');
  const path = join(folder, name);
  writeFileSync(path, gzipSync(`${text}{"sha256":"${sha256}"}\n`));
  return path;
}

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
       from tallystick.stores, generate_series(1, 3000) as n`,
    );
    await exportLedger(from.engine, file);
  });
  afterAll(() => Promise.all([from?.drop(), to?.drop()]));

  test('every table of the schema is moved', async () => {
    const { rows } = await from.engine.reader.query(
      "select tablename from pg_tables where schemaname = 'tallystick'",
    );
    const names = rows.map(({ tablename }) => tablename).filter((name) => name !== 'migrations');
    expect(names.sort()).toEqual([...MOVED_TABLES].sort());
  });

  test('the header says what is in the file', () => {
    const { schema, created_at, stores, columns } = JSON.parse(linesOf(file)[0]!);
    expect(schema).toBe(NEWEST);
    expect(Math.abs(Date.parse(created_at) - Date.now())).toBeLessThan(600_000);
    expect(stores).toEqual([{ id: expect.stringMatching(/^sto_/), name: 'default', mode: 'test' }]);
    expect(columns.drawdowns).toContain('grant_id');
    expect(columns.grants).not.toContain('free');
  });

  test('damage, cuts and other formats are refused before a database is asked', async () => {
    const bytes = readFileSync(file);
    const text = gunzipSync(bytes).toString();
    const [header = '', stores = '', ...rest] = linesOf(file).slice(0, -1);
    const bad: [string, Buffer][] = [
      ['cut', bytes.subarray(0, -20)],
      ['empty', Buffer.alloc(0)],
      ['half', bytes.subarray(0, bytes.length / 2)],
      ['no end', gzipSync(`${linesOf(file).slice(0, -1).join('\n')}\n`)],
      ['no last newline', gzipSync(text.trimEnd())],
      ['more', gzipSync(`${text}{}\n`)],
      ['flipped', gzipSync(text.replace('"c7"', '"x7"'))],
      ['version', gzipSync(text.replace('"version":1', '"version":2'))],
      ['schema', gzipSync(text.replace(`"schema":${NEWEST}`, '"schema":9999'))],
      ['other', gzipSync('hello\n')],
      ['plain', Buffer.from('hello')],
      ['order', readFileSync(writeFile('order', [header, rest[0]!, stores, ...rest.slice(1)]))],
    ];
    for (const [name, bytes] of bad) {
      const path = join(folder, name);
      writeFileSync(path, bytes);
      await expect(checkExport(path), name).rejects.toThrow(
        /is cut short or damaged\. Export|is no export of|Use the tallystick that exported it/,
      );
    }
    await expect(checkExport(join(folder, 'none'))).rejects.toThrow(/There is no file/);
  });

  test('columns that the database does not have are refused, and nothing is left', async () => {
    const [header = '', ...rest] = linesOf(file).slice(0, -1);
    const more = writeFile('more', [
      header.replace('"unit_label"', '"unit_label","color"'),
      ...rest,
    ]);
    await expect(moveIn(to.engine, more)).rejects.toThrow(/its table accounts has color\. Use/);
    const less = writeFile('less', [header.replace('"unit_label",', ''), ...rest]);
    await expect(moveIn(to.engine, less)).rejects.toThrow(/its table accounts lacks unit_label/);
    // Rows that are not what the header says can only be found on the way.
    const rows = rest.map((line) => line.replace('"c7",', '"c7",null,'));
    const long = writeFile('long', [header, ...rows]);
    await expect(moveIn(to.engine, long)).rejects.toThrow(/damaged/);
    const wrong = writeFile('wrong', [header, ...rest.map((line) => line.replace('"c7"', 'null'))]);
    await expect(moveIn(to.engine, wrong)).rejects.toThrow(
      /refuses rows of accounts \(null value.*\)\. Mend the cause/,
    );
    expect(await schemaFault(to.engine.reader)).toBeUndefined();
    expect((await to.engine.reader.query('select 1 from tallystick.stores')).rows).toEqual([]);
  });

  test('an import that was cut off lets nothing else work, and goes on', async () => {
    const unfinished = /import into this database is not finished. Run tallystick import again/;
    const cut = () => {
      throw new Error('cut');
    };
    const stop = (done: number) => (done > 1_500 ? cut() : undefined);
    await expect(moveIn(to.engine, file, stop)).rejects.toThrow('cut');

    await expect(migrate(to.engine)).rejects.toThrow(unfinished);
    await expect(exportLedger(to.engine, join(folder, 'no'))).rejects.toThrow(unfinished);
    expect(await listStores(to.engine.reader)).toEqual([]);
    expect(await listKeys(to.engine.reader)).toEqual([]);
    const [store] = await listStores(from.engine.reader);
    const ledger = new Ledger(to.engine);
    const opening = { customerId: 'late', name: 'a', unitLabel: 'u', initialBalance: 0n };
    expect(await ledger.execute(store!, openCommand(opening))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'unavailable', message: expect.stringMatching(unfinished) },
    });

    const same = join(folder, 'same.gz');
    await exportLedger(from.engine, same);
    await expect(moveIn(to.engine, same)).rejects.toThrow(/of another file than/);
    // A second cut, before anything of this run was committed.
    await expect(moveIn(to.engine, file, cut)).rejects.toThrow('cut');
    const done: number[] = [];
    const skipped = await moveIn(to.engine, file, (rows) => done.push(rows));
    expect(skipped).toBeGreaterThan(500);
    expect(done[0]).toBe(skipped);
    expect(await schemaFault(to.engine.reader)).toBeUndefined();
    expect((await verifyLedger(to.engine)).clean).toBe(true);
  });

  test('there and back is the same, and only an empty database takes it', async () => {
    await expect(moveIn(to.engine, file)).rejects.toThrow(/has stores already/);
    const back = join(folder, 'back.gz');
    await exportLedger(to.engine, back);
    await expect(exportLedger(to.engine, back)).rejects.toThrow(/there already/);
    expect(rowsOf(back)).toEqual(rowsOf(file));
    expect(statSync(back).mode & 0o777).toBe(0o600);
    const place = join(folder, 'nowhere', 'file');
    await expect(exportLedger(to.engine, place)).rejects.toThrow(/cannot be written \(ENOENT/);
  });

  test('of two imports at once one is refused, and the other one is whole', async () => {
    const both = await POSTGRES.create();
    const engines = [both.engine, await both.another()];
    const ended = await Promise.allSettled(engines.map((engine) => moveIn(engine, file)));
    const refused = ended.filter((each) => each.status === 'rejected');
    expect(refused.map(({ reason }) => String(reason))).toEqual([
      expect.stringMatching(/Another import into this database is at work|has stores already/),
    ]);
    const back = join(folder, 'both.gz');
    await exportLedger(both.engine, back);
    expect(rowsOf(back).sort()).toEqual(rowsOf(file).sort());
    await both.drop();
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
    // Of two stores one is moved; the other one has a key of its own.
    const [store] = await listStores(from.engine.reader);
    await ensureKey(from.engine.reader, generateKey('live'), { name: 'live', scopes: ['*'] });
    await exportLedger(from.engine, file, store!.id);
    await moveIn(to.engine, file);
    expect(await listStores(to.engine.reader)).toEqual([store]);
    const keys = await listKeys(from.engine.reader);
    expect(keys.length).toBe(2);
    expect(await listKeys(to.engine.reader)).toEqual(
      keys.filter(({ storeId }) => storeId === store!.id),
    );
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
