import { type Db, textArray } from '../engine/db.js';
import { hasCitus, undistributedTables } from './distribute.js';
import { APPEND_ONLY } from './tables.js';

/** What a database is like, for `tallystick doctor`. */
export interface Inspection {
  readonly version: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  readonly role: string;
  /** The append-only tables that no trigger guards. */
  readonly unguarded: readonly string[];
  /** Whether the role may change what was posted where no trigger stands in its way. */
  readonly mayChange: boolean;
  /** The tables that are not spread over the cluster; undefined where there is no Citus. */
  readonly undistributed: readonly string[] | undefined;
}

export async function inspectDatabase(db: Db): Promise<Inspection> {
  const { rows } = await db.query(`select current_setting('server_version') as version,
    current_setting('fsync') as fsync,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('full_page_writes') as full_page_writes,
    (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now,
    current_user::text as role`);
  const facts = rows[0];
  return {
    version: facts.version,
    fsync: facts.fsync,
    synchronousCommit: facts.synchronous_commit,
    fullPageWrites: facts.full_page_writes,
    now: Number(facts.now),
    role: facts.role,
    ...(await inspectGuards(db)),
    undistributed: (await hasCitus(db)) ? await undistributedTables(db) : undefined,
  };
}

async function inspectGuards(db: Db): Promise<Pick<Inspection, 'unguarded' | 'mayChange'>> {
  const triggers = await db.query(`select c.relname::text as name
    from pg_trigger as t
    join pg_class as c on c.oid = t.tgrelid
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'tallystick' and t.tgname = c.relname || '_append_only'
      and t.tgenabled <> 'D'
    order by c.relname`);
  const rights = await db.query(
    `select coalesce(bool_or(
      has_table_privilege(c.oid, 'UPDATE') or has_table_privilege(c.oid, 'DELETE')), false) as may
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'tallystick' and c.relname = any($1::text[])`,
    [textArray(APPEND_ONLY)],
  );
  const guarded = new Set(triggers.rows.map(({ name }) => name));
  const unguarded = APPEND_ONLY.filter((table) => !guarded.has(table));
  return { unguarded, mayChange: rights.rows[0].may };
}
