import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exportLedger, importLedger, verifyLedger } from '../../src/ledger/index.js';
import { LEDGER_TABLES } from '../../src/store/tables.js';
import { onEngine, PGLITE, POSTGRES, type TestDatabase } from '../harness/engines.js';
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
