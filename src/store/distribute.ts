import { type Db, type Engine, textArray } from './db.js';
import { SetupError } from './migrate.js';

/** Spreading the tables over the workers of a Citus cluster by store. */

/** The tables that every worker has whole: there are few rows, and statements join them. */
const EVERYWHERE = ['stores', 'api_keys'];
/** The tables that are spread over machines by store, parents first. */
const SPREAD = [
  'accounts',
  'transactions',
  'entries',
  'grants',
  'drawdowns',
  'holds',
  'webhook_endpoints',
  'outbox',
  'deliveries',
];
/** The tables that nothing may be changed in. */
export const APPEND_ONLY = ['transactions', 'entries', 'drawdowns'];

/**
 * What spreads the tables that are not spread yet. Citus refuses triggers on such tables, even to
 * drop what is not there, so the append-only triggers go just before, each in one step with the
 * table that it guards; deny the server's role UPDATE and DELETE there.
 */
export function distributeStatements(already: ReadonlySet<string> = new Set()): string[] {
  const isLeft = (table: string) => !already.has(table);
  return [
    ...EVERYWHERE.filter(isLeft).map(
      (table) => `select create_reference_table('tallystick.${table}')`,
    ),
    ...SPREAD.filter(isLeft).flatMap((table) => {
      const colocate = table === SPREAD[0] ? 'none' : `tallystick.${SPREAD[0]}`;
      const spread = `select create_distributed_table('tallystick.${table}', 'store_id', colocate_with => '${colocate}')`;
      if (!APPEND_ONLY.includes(table)) return [spread];
      const drop = `drop trigger if exists ${table}_append_only on tallystick.${table}`;
      return ['begin', drop, spread, 'commit'];
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
    const left = await undistributedTables(session);
    const already = new Set([...EVERYWHERE, ...SPREAD].filter((table) => !left.includes(table)));
    for (const statement of distributeStatements(already)) {
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
    [textArray([...EVERYWHERE, ...SPREAD])],
  );
  const spread = new Set<string>(rows.map(({ name }) => name));
  return [...EVERYWHERE, ...SPREAD].filter((table) => !spread.has(table));
}
