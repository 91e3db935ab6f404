import { type Db, type Engine, textArray } from '../engine/db.js';
import { SetupError } from './migrate.js';
import { APPEND_ONLY, COMMON_TABLES, LEDGER_TABLES, STORE_TABLES } from './tables.js';

/**
 * Spreading the tables over the workers of a Citus cluster by store. What is common to the stores
 * every worker has whole.
 */

/**
 * What spreads the tables that are left. Citus takes a table with triggers only where it is told
 * that they are wanted: it cannot know that ours read and write nothing, and so work on any
 * machine (docs/decisions/0031). That is said for one transaction, for a pooler may change the
 * session after it.
 */
export function distributeStatements(left: readonly string[] = LEDGER_TABLES): string[] {
  const isLeft = (table: string) => left.includes(table);
  return [
    ...COMMON_TABLES.filter(isLeft).map(
      (table) => `select create_reference_table('tallystick.${table}')`,
    ),
    ...STORE_TABLES.filter(isLeft).flatMap((table) => {
      const colocate = table === STORE_TABLES[0] ? 'none' : `tallystick.${STORE_TABLES[0]}`;
      const spread = `select create_distributed_table('tallystick.${table}', 'store_id', colocate_with => '${colocate}')`;
      if (!APPEND_ONLY.includes(table)) return [spread];
      return ['begin', 'set local citus.enable_unsafe_triggers = on', spread, 'commit'];
    }),
  ];
}

/**
 * Spreads what is not spread yet, so that it can be run again after an upgrade or a failure: what
 * a failed run has spread stays so, and every other table is as it was.
 *
 * @throws {SetupError} where the database has no Citus, or a table could not be spread.
 */
export async function distribute(engine: Engine): Promise<void> {
  if (!(await hasCitus(engine.reader))) {
    throw new SetupError(
      'This database has no citus extension. Run CREATE EXTENSION citus on the coordinator first.',
    );
  }
  // Rows that are there already are copied, which takes any time.
  await engine.onSession(async (session) => {
    for (const statement of distributeStatements(await undistributedTables(session))) {
      try {
        await session.query(statement);
      } catch (error) {
        const cause = error instanceof Error ? error.message : String(error);
        throw new SetupError(
          `"${statement}" failed: ${cause}. What was distributed before it stays so; mend the cause and run tallystick migrate --distribute again.`,
        );
      }
    }
  });
}

/** Whether the database is the coordinator of a Citus cluster. */
export async function hasCitus(db: Db): Promise<boolean> {
  const { rows } = await db.query("select 1 from pg_extension where extname = 'citus'");
  return rows.length > 0;
}

/**
 * The tables that a Citus cluster should spread and does not. Citus also keeps a record of tables
 * that only refer to a spread one and stay on the coordinator; those are neither `h` nor `t`.
 *
 * @param db one that has Citus.
 */
export async function undistributedTables(db: Db): Promise<string[]> {
  const { rows } = await db.query(
    `select c.relname::text as name from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      join pg_dist_partition as p on p.logicalrelid = c.oid
      where n.nspname = 'tallystick' and c.relname = any($1::text[])
        and (p.partmethod = 'h' or p.repmodel = 't')`,
    [textArray(LEDGER_TABLES)],
  );
  const spread = new Set<string>(rows.map(({ name }) => name));
  return LEDGER_TABLES.filter((table) => !spread.has(table));
}
