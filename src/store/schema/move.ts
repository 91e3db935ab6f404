import { type Lane, textColumn } from '../engine/db.js';
import { sqlstate } from '../engine/sqlstate.js';
import { UNFINISHED } from './migrate.js';
import { STORE_TABLES } from './tables.js';

/** Reads and writes whole tables as the texts that PostgreSQL itself prints for their values. */

/**
 * The tables that are moved, in the order of the file: keys come last, so that nobody can reach
 * a ledger that is half there.
 */
export const MOVED_TABLES = ['stores', ...STORE_TABLES, 'api_keys'] as const;

/** How many rows one statement takes at most, and how many characters of them it aims at. */
const CHUNK_ROWS = 1_000;
const CHUNK_TEXT = 1_000_000;
/** Of a table that begins it is not known yet how long its rows are. */
const FIRST_ROWS = 100;

export interface Column {
  readonly name: string;
  readonly type: string;
}

/** A row's values in the order of its table's columns. */
export type RowTexts = (string | null)[];

/** By table. What the database computes by itself is left out. */
export type Columns = ReadonlyMap<string, readonly Column[]>;

/** Makes values print in one way, whatever the database or the role is set to. */
export async function setForms(lane: Lane): Promise<void> {
  for (const form of ["timezone = 'UTC'", "datestyle = 'ISO'", "bytea_output = 'hex'"]) {
    await lane.query(`set local ${form}`);
  }
}

export async function readNow(lane: Lane): Promise<string> {
  const { rows } = await lane.query(
    `select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`,
  );
  return rows[0].now;
}

export async function readColumns(lane: Lane): Promise<Columns> {
  const { rows } = await lane.query(
    `select c.relname::text as table, a.attname::text as name,
       format_type(a.atttypid, null) as type
     from pg_attribute as a join pg_class as c on c.oid = a.attrelid
     where c.relnamespace = 'tallystick'::regnamespace and c.relkind in ('r', 'p')
       and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.attnum`,
  );
  const columns = new Map<string, Column[]>();
  for (const { table, name, type } of rows) {
    columns.set(table, [...(columns.get(table) ?? []), { name, type }]);
  }
  return columns;
}

/** Rows as JSON arrays of texts and nulls, in the caller's snapshot. */
export async function* readChunks(
  lane: Lane,
  table: string,
  columns: readonly Column[],
  storeId: string | undefined,
): AsyncGenerator<string[]> {
  const texts = columns.map(({ name }) => `${name}::text`).join(', ');
  // DECLARE takes no parameters, so what is written into it is an id that was parsed as one.
  const where = storeId === undefined ? '' : `where store_id = '${storeId}'::uuid`;
  await lane.query(
    `declare moved no scroll cursor for
     select to_json(array[${texts}])::text as line from tallystick.${table} ${where}`,
  );
  for (let count = FIRST_ROWS; ; ) {
    const { rows } = await lane.query(`fetch ${count} from moved`);
    const lines: string[] = rows.map(({ line }) => line);
    if (lines.length > 0) yield lines;
    if (lines.length < count) break;
    const length = lines.reduce((sum, line) => sum + line.length, 0) / lines.length;
    count = Math.max(1, Math.min(CHUNK_ROWS, Math.floor(CHUNK_TEXT / length)));
  }
  await lane.query('close moved');
}

export async function writeChunk(
  lane: Lane,
  table: string,
  columns: readonly Column[],
  rows: readonly RowTexts[],
): Promise<void> {
  const names = columns.map(({ name }) => name).join(', ');
  // unnest takes arrays of arrays apart to their last value, so an array passes as its text.
  const isArray = (type: string) => type.endsWith('[]');
  const values = columns.map(({ name, type }) => (isArray(type) ? `${name}::${type}` : name));
  const given = columns.map(({ type }, n) => `$${n + 1}::${isArray(type) ? 'text' : type}[]`);
  await lane.query(
    `insert into tallystick.${table} (${names})
     select ${values.join(', ')} from unnest(${given.join(', ')}) as given (${names})`,
    columns.map((_, n) => textColumn(rows, (row) => row[n]!)),
  );
}

/** An import that is on its way: which file it reads, and how many of its lines are in. */
export interface Progress {
  readonly sha256: string;
  readonly lines: number;
}

/** Keeps servers from making a store meanwhile; true where there is none. */
export async function claimEmpty(lane: Lane): Promise<boolean> {
  await lane.query('lock table tallystick.stores in exclusive mode');
  return !(await hasStores(lane));
}

/** Whether there is any store, also in a database that was never migrated. */
export async function hasStores(lane: Lane): Promise<boolean> {
  const { rows } = await lane.query("select to_regclass('tallystick.stores') is null as missing");
  if (rows[0].missing) return false;
  return (await lane.query('select 1 from tallystick.stores limit 1')).rows.length > 0;
}

/** Begins to note progress, in a table that is there for as long as an import is not finished. */
export async function createProgress(lane: Lane, sha256: string): Promise<void> {
  await lane.query(`create table ${UNFINISHED.table} (sha256 text not null, lines int not null)`);
  await lane.query(`insert into ${UNFINISHED.table} values ($1, 0)`, [sha256]);
}

/**
 * Waits for the transaction of another import, and keeps others waiting for this one's. Undefined
 * where the other one has come to the end.
 */
export async function lockProgress(lane: Lane): Promise<Progress | undefined> {
  try {
    // The whole table, for its last user removes it, and must wait for nobody who waits for a row.
    await lane.query(`lock table ${UNFINISHED.table} in access exclusive mode`);
  } catch (error) {
    if (sqlstate(error) === '42P01') return undefined;
    throw error;
  }
  return (await lane.query(`select sha256, lines from ${UNFINISHED.table}`)).rows[0];
}

export async function writeProgress(lane: Lane, lines: number): Promise<void> {
  await lane.query(`update ${UNFINISHED.table} set lines = $1`, [lines]);
}

/** Gives the ledger free. */
export async function endProgress(lane: Lane): Promise<void> {
  await lane.query(`drop table ${UNFINISHED.table}`);
  await lane.query('update tallystick.stores set schema = default');
}

/** Makes plans fit the rows that have come in. */
export async function analyzeTables(lane: Lane): Promise<void> {
  for (const table of MOVED_TABLES) await lane.query(`analyze tallystick.${table}`);
}
