import { existsSync, readdirSync } from 'node:fs';
import {
  cautionsOf,
  distribute,
  distributeStatements,
  migrate,
  planMigrations,
} from '../ledger/index.js';
import { openEngine } from './engine.js';
import { type OutputFlags, print, say } from './output.js';
import { type Settings, UsageError } from './settings.js';

export interface MigrateFlags extends OutputFlags {
  readonly plan?: boolean;
  readonly distribute?: boolean;
}

/** Brings the database up to this program's schema, or prints the SQL that would do so. */
export async function runMigrations(settings: Settings, flags: MigrateFlags): Promise<void> {
  if (flags.distribute && settings.databaseUrl === undefined) {
    throw new UsageError(
      '--distribute needs a Citus cluster: set DATABASE_URL to its coordinator.',
    );
  }
  if (flags.plan) return printPlan(settings, flags);
  const engine = await openEngine(settings);
  try {
    for (const caution of await cautionsOf(engine.reader)) say(caution);
    const applied = (await migrate(engine)).map(({ name }) => name);
    if (flags.distribute) await distribute(engine);
    const said = applied.length === 0 ? 'Nothing to apply.' : `Applied ${applied.join(', ')}.`;
    const spread = flags.distribute ? ' The tables are distributed by store.' : '';
    print(flags, { applied, distributed: Boolean(flags.distribute) }, said + spread);
  } finally {
    await engine.close();
  }
}

async function printPlan(settings: Settings, flags: MigrateFlags): Promise<void> {
  const sql = [
    ...(await pendingSql(settings)),
    ...(flags.distribute ? distributeStatements().map((statement) => `${statement};`) : []),
  ];
  if (sql.length === 0 && !flags.json) say('Nothing to apply.');
  print(flags, { sql }, sql.join('\n\n'));
}

async function pendingSql(settings: Settings): Promise<string[]> {
  // A plan changes nothing, so it does not create the embedded database either.
  if (settings.databaseUrl === undefined && isVacant(settings.dataDir)) {
    return planMigrations(undefined);
  }
  const engine = await openEngine(settings);
  try {
    return await planMigrations(engine.reader);
  } finally {
    await engine.close();
  }
}

function isVacant(directory: string): boolean {
  return !existsSync(directory) || readdirSync(directory).length === 0;
}
