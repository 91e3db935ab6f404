import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Db, Engine, Lane } from '../engine/db.js';
import { isConflict, isLockTimeout, sqlstate } from '../engine/sqlstate.js';

/** Forward-only migrations: the files of `sql/`, applied once each, in order. */

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  /** What it keeps from working in a large database while it runs, and what it does there. */
  readonly caution?: string | undefined;
}

/** A start that cannot go on; its message is the one line that the operator reads. */
export class SetupError extends Error {}

/** The database has been migrated by a newer program, and this one must not write to it. */
export class NewerSchemaError extends Error {}

const FOLDER = new URL('../../../sql/', import.meta.url);

const MIGRATIONS = 'tallystick.migrations';

const LEDGER_TABLE = `create schema if not exists tallystick;
create table if not exists tallystick.migrations (
  version integer primary key,
  name text not null,
  applied_at timestamptz(3) not null default now()
)`;

/** How an import that is not finished is known, so that nothing else works on half a ledger. */
export const UNFINISHED = {
  /** It is there while one is on its way. */
  table: 'tallystick.unfinished_import',
  /** What the rows of stores have for a version of their schema: the highest that there is. */
  schema: 2_147_483_647,
  told: 'An import into this database is not finished. Run tallystick import again with the same file, or start with an empty database.',
} as const;

// What two processes that create the same object at the same time may meet.
const CREATION_RACES = new Set(['23505', '42P06', '42P07', '42710', 'XX000']);
const RACE_TRIES_MAX = 10;
/** How long a process waits for another one that applies the same migration. */
const OTHER_MS_MAX = 600_000;
/** How long a migration waits for a table that is in use. */
const TABLE_MS_MAX = 10_000;

/** The first migration after which a store's row says of which version the schema is. */
const MARKED_SINCE = 10;

const FILES = readdirSync(fileURLToPath(FOLDER))
  .filter((file) => /^\d{4}_.*\.sql$/.test(file))
  .sort();
export const NEWEST = Number.parseInt(FILES.at(-1)!, 10);

export async function listMigrations(): Promise<Migration[]> {
  return Promise.all(
    FILES.map(async (name) => {
      const sql = await readFile(new URL(name, FOLDER), 'utf8');
      const caution = /^-- Caution: (.*)/.exec(sql)?.[1];
      return { version: Number.parseInt(name, 10), name, sql, caution };
    }),
  );
}

/** The migrations that a database still lacks. */
export async function pendingMigrations(db: Db): Promise<Migration[]> {
  const applied = await appliedVersions(db);
  return (await listMigrations()).filter(({ version }) => !applied.has(version));
}

/** What one should know before the migrations that a database in use still lacks are applied. */
export async function cautionsOf(db: Db): Promise<string[]> {
  const pending = await pendingMigrations(db);
  if (pending.length === FILES.length) return [];
  return pending.flatMap(({ name, caution }) =>
    caution === undefined ? [] : [`${name} ${caution}`],
  );
}

/**
 * The SQL that `migrate` would run, as a script that can be run by hand instead.
 *
 * @param db undefined stands for a database that does not exist yet.
 */
export async function planMigrations(db: Db | undefined): Promise<string[]> {
  const applied = db === undefined ? new Set<number>() : await appliedVersions(db);
  const pending = (await listMigrations()).filter(({ version }) => !applied.has(version));
  const steps = pending.map(
    ({ version, name, sql }) => `-- ${name}
begin;
insert into tallystick.migrations (version, name) values (${version}, '${name}');
${sql.trim()}
${markOf(version)}commit;`,
  );
  return applied.size > 0 ? steps : [`${LEDGER_TABLE};`, ...steps];
}

/**
 * Brings a database up to this program's schema. Several processes may do so at once.
 *
 * @throws {SetupError} where the database is of a newer program, an import is not finished, or a
 * table stays in use.
 */
export async function migrate(engine: Engine): Promise<Migration[]> {
  // A server's role need not be allowed to create anything once all is there.
  if (!(await exists(engine.reader, MIGRATIONS))) {
    for (const statement of LEDGER_TABLE.split(';')) {
      await settlingRaces(() => engine.reader.query(statement));
    }
  }
  const fault = await schemaFault(engine.reader);
  if (fault !== undefined) throw new SetupError(fault);
  const done: Migration[] = [];
  for (const migration of await pendingMigrations(engine.reader)) {
    const applied = await settlingRaces(() => engine.onSession((lane) => apply(lane, migration)));
    if (applied) done.push(migration);
  }
  return done;
}

/**
 * Says why this program must not work with a database: it is of a newer program, or only half of
 * a ledger has been imported. Undefined where it may.
 */
export async function schemaFault(db: Db): Promise<string | undefined> {
  if (await isUnfinished(db)) return UNFINISHED.told;
  return newerThanKnown(Math.max(0, ...(await appliedVersions(db))));
}

/** Whether an import has begun and not ended. */
export async function isUnfinished(db: Db): Promise<boolean> {
  return exists(db, UNFINISHED.table);
}

/** @throws {NewerSchemaError} where a store's schema is not known here, or is not all there. */
export function checkSchema(version: number): void {
  const newer = newerThanKnown(version);
  if (newer !== undefined) throw new NewerSchemaError(newer);
}

function newerThanKnown(version: number): string | undefined {
  if (version <= NEWEST) return undefined;
  if (version === UNFINISHED.schema) return UNFINISHED.told;
  return `The database has migration ${version}, and this tallystick knows only up to ${NEWEST}. Start the newer version.`;
}

/** Of processes that do the same at the same time one may lose, and finds it done. */
async function settlingRaces<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (isLockTimeout(error)) throw new SetupError(IN_USE);
      const isRace = isConflict(error) || CREATION_RACES.has(sqlstate(error) ?? '');
      if (tries === RACE_TRIES_MAX || !isRace) throw error;
    }
  }
}

const IN_USE =
  'A migration waits for a table that is in use. Stop the other servers and what else works in the schema tallystick, then try again.';

/**
 * What writes a migration's version into the rows of stores. Altering the table waits for the
 * batches in flight, so that none of an older server ends after the migration it did not see.
 */
function markOf(version: number): string {
  if (version < MARKED_SINCE) return '';
  return `alter table tallystick.stores alter column schema set default ${version};
update tallystick.stores set schema = ${version};
`;
}

/**
 * Applies one migration; false where another process has applied it meanwhile.
 *
 * @param lane of a session, which undoes what fails.
 */
export async function apply(lane: Lane, { version, name, sql }: Migration): Promise<boolean> {
  await lane.begin({});
  // This row comes first, so that of two processes one waits here until the other is done,
  // which may take long. For its tables it waits less: everybody else waits behind it.
  await lane.query(`set local lock_timeout = '${OTHER_MS_MAX}ms'`);
  const own = await lane.query(
    'insert into tallystick.migrations (version, name) values ($1, $2) on conflict do nothing returning 1',
    [version, name],
  );
  await lane.query(`set local lock_timeout = '${TABLE_MS_MAX}ms'`);
  // Citus changes shards in parallel, and then refuses to write the rows of stores that they
  // refer to. Where there is no Citus this is a name that means nothing.
  await lane.query("set local citus.multi_shard_modify_mode = 'sequential'");
  if (own.rows.length > 0) {
    const statements = splitStatements(`${sql}\n${markOf(version)}`);
    for (const statement of statements) await lane.query(statement);
  }
  await lane.commit({});
  return own.rows.length > 0;
}

/** Splits a migration into statements; a body between `$$` stays whole. */
export function splitStatements(sql: string): string[] {
  const parts = sql.split('$$');
  const statements: string[] = [];
  parts.forEach((part, index) => {
    const [first, ...rest] = index % 2 === 1 ? [`$$${part}$$`] : part.split(/;\s*(?:\n|$)/);
    statements.push((statements.pop() ?? '') + first, ...rest);
  });
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== '');
}

async function exists(db: Db, table: string): Promise<boolean> {
  const sql = `select to_regclass('${table}') is not null as there`;
  return (await db.query(sql)).rows[0].there;
}

async function appliedVersions(db: Db): Promise<Set<number>> {
  if (!(await exists(db, MIGRATIONS))) return new Set();
  const result = await db.query('select version from tallystick.migrations');
  return new Set(result.rows.map((row) => row.version));
}
