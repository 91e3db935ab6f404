import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Db } from '../../src/store/engine/db.js';
import type { Column } from '../../src/store/rows/columns.js';
import * as rows from '../../src/store/rows/rows.js';
import { Table } from '../../src/store/rows/table.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';

/**
 * What all migrations together come to, to be read in one place: `sql/schema.sql`. A change of it
 * shows in a review as what it is, beside the migration that makes it.
 */

const COLUMNS = `select c.relname as table, format('  %I %s%s%s', a.attname,
      format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end,
      case when d.adbin is null then ''
        when a.attgenerated <> '' then
          ' generated always as (' || pg_get_expr(d.adbin, d.adrelid) || ') stored'
        else ' default ' || pg_get_expr(d.adbin, d.adrelid) end) as line
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
  where c.relnamespace = 'tallystick'::regnamespace and c.relkind = 'r'
  order by c.relname, a.attname`;
// Newer versions of PostgreSQL list what is not null as constraints too.
const CONSTRAINTS = `select conrelid::regclass::text as table,
    format('  constraint %I %s', conname, pg_get_constraintdef(oid)) as line
  from pg_constraint
  where connamespace = 'tallystick'::regnamespace and contype <> 'n'
  order by 1, conname`;
const INDEXES = `select indexdef || ';' as line from pg_indexes as i
  where schemaname = 'tallystick'
    and not exists (select from pg_constraint where conname = i.indexname)
  order by indexname`;
const TRIGGERS = `select pg_get_triggerdef(oid) || ';' as line from pg_trigger
  where not tgisinternal and tgrelid in (
    select oid from pg_class where relnamespace = 'tallystick'::regnamespace)
  order by 1`;
const FUNCTIONS = `select pg_get_functiondef(oid) || ';' as line from pg_proc
  where pronamespace = 'tallystick'::regnamespace order by proname`;

async function describeSchema(db: Db): Promise<string> {
  const linesOf = async (sql: string) => (await db.query(sql)).rows as Record<string, string>[];
  const tables = new Map<string, string[]>();
  for (const { table, line } of [...(await linesOf(COLUMNS)), ...(await linesOf(CONSTRAINTS))]) {
    const name = table!.replace(/^tallystick\./, '');
    tables.set(name, [...(tables.get(name) ?? []), line!]);
  }
  const parts = [...tables].map(
    ([name, lines]) => `create table tallystick.${name} (\n${lines.join(',\n')}\n);`,
  );
  for (const sql of [INDEXES, TRIGGERS, FUNCTIONS]) {
    parts.push((await linesOf(sql)).map(({ line }) => line!.trim()).join('\n'));
  }
  return `-- All migrations together, for reading. Written by \`npm run schema\`; not run by anything.\n
${parts.join('\n\n')}\n`;
}

onEngines((engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create();
  });
  afterAll(() => database.drop());

  test.each(Object.entries(rows).filter(([, table]) => table instanceof Table))(
    '%s are described as they are stored',
    async (_, described) => {
      const { name, columns } = described as Table<object>;
      const { rows: stored } = await database.engine.reader.query(
        `select attname as name, format_type(atttypid, null) as type, attnotnull as "isRequired"
         from pg_attribute where attrelid = format('tallystick.%I', $1::text)::regclass
           and attnum > 0 and not attisdropped`,
        [name],
      );
      for (const column of Object.values(columns) as Column<unknown>[]) {
        const { type, isRequired } = stored.find((one) => one.name === column.name) ?? {};
        expect(type.replace('timestamp with time zone', 'timestamptz')).toBe(column.type);
        const mayBeNull = column.isOptional || column.type === 'jsonb';
        // What is written later than its row is optional, and read by nobody before.
        if (column.name !== 'void_transaction_id') expect(isRequired || mayBeNull).toBe(true);
        if (column.isOptional) expect(isRequired).toBe(false);
      }
    },
  );

  test('the migrations come to sql/schema.sql', async () => {
    const schema = await describeSchema(database.engine.reader);
    await expect(schema).toMatchFileSnapshot('../../sql/schema.sql');
  });
});
