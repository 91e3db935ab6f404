import type { Lane } from './db.js';

/** Reads and writes whole tables as JSON text, which passes through this program unparsed. */

const CHUNK_ROWS = 1_000;

/** Rows as PostgreSQL prints them, in the caller's snapshot. */
export async function* readChunks(
  lane: Lane,
  table: string,
  columns: string,
  storeId: string | undefined,
): AsyncGenerator<string[]> {
  // DECLARE takes no parameters, so what is written into it is an id that was parsed as one.
  const where = storeId === undefined ? '' : `where store_id = '${storeId}'::uuid`;
  await lane.query(
    `declare moved no scroll cursor for select row_to_json(r)::text as line
     from (select ${columns} from tallystick.${table} ${where}) as r`,
  );
  for (;;) {
    const { rows } = await lane.query(`fetch ${CHUNK_ROWS} from moved`);
    if (rows.length > 0) yield rows.map(({ line }) => line);
    if (rows.length < CHUNK_ROWS) break;
  }
  await lane.query('close moved');
}

/** @param rows the text of a JSON array. */
export async function writeChunk(
  lane: Lane,
  table: string,
  columns: string,
  rows: string,
): Promise<number> {
  const { rows: counted } = await lane.query(
    `with given as (insert into tallystick.${table} (${columns}) select ${columns}
       from json_populate_recordset(null::tallystick.${table}, $1::json) returning 1)
     select count(*)::int as rows from given`,
    [rows],
  );
  return counted[0].rows;
}

/** Keeps servers from making a store meanwhile; true where there is none. */
export async function claimEmpty(lane: Lane): Promise<boolean> {
  await lane.query('lock table tallystick.stores in exclusive mode');
  const { rows } = await lane.query('select 1 from tallystick.stores limit 1');
  return rows.length === 0;
}

/** By table: its columns as a list in SQL. What the database computes by itself is left out. */
export async function readColumns(lane: Lane): Promise<ReadonlyMap<string, string>> {
  const { rows } = await lane.query(
    `select table_name as table,
       string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns
     from information_schema.columns
     where table_schema = 'tallystick' and is_generated = 'NEVER' group by table_name`,
  );
  return new Map(rows.map(({ table, columns }) => [table, columns]));
}
