import { afterEach, beforeEach, expect, test } from 'vitest';
import { cautionsOf } from '../../src/ledger/index.js';
import { listMigrations } from '../../src/store/schema/migrate.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';

/** A migration that stops work for long in a large database says so in its first line. */

/** Tables of a few rows, where nothing takes long. */
const SMALL = ['stores', 'api_keys', 'webhook_endpoints', 'migrations'];

/** The large tables that a migration did not make itself, and that it rewrites or indexes. */
function slowOn(sql: string): string[] {
  const made = [...sql.matchAll(/create table tallystick\.(\w+)/g)].map(([, table]) => table!);
  const statements = sql.replaceAll(/^--.*$/gm, '').split(';');
  const touched = statements.flatMap((statement) => {
    const slow =
      /^\s*update tallystick\.(\w+)/.exec(statement) ??
      /^\s*create (?:unique )?index \w+\s+on tallystick\.(\w+)/.exec(statement) ??
      /^\s*alter table tallystick\.(\w+)[^;]*(?: type | stored)/.exec(statement);
    return slow === null ? [] : [slow[1]!];
  });
  return touched.filter((table) => !made.includes(table) && !SMALL.includes(table));
}

test('every migration that rewrites, updates or indexes a large table says so', async () => {
  const all = await listMigrations();
  const slow = all.filter(({ sql }) => slowOn(sql).length > 0);
  const warned = all.filter(({ caution }) => caution !== undefined);
  expect(warned.map(({ name }) => name)).toEqual(slow.map(({ name }) => name));
  expect(slow.length).toBeGreaterThan(0);
});

onEngines((engine) => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await engine.create();
  });
  afterEach(() => database.drop());

  test('they are told for what a database in use lacks, and not for a new one', async () => {
    const db = database.engine.reader;
    expect(await cautionsOf(db)).toEqual([]);
    await db.query('delete from tallystick.migrations where version in (8, 10)');
    expect(await cautionsOf(db)).toEqual([
      expect.stringMatching(/^0008_reads\.sql builds two indexes of grants; nothing is written/),
    ]);
    await db.query('delete from tallystick.migrations');
    expect(await cautionsOf(db)).toEqual([]);
  });
});
