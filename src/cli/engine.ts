import { openPglite } from '../embedded/pglite.js';
import { type Engine, openPostgres, pendingMigrations, SetupError } from '../ledger/index.js';
import type { Settings } from './settings.js';

/** Opens PostgreSQL where a URL is set, and embedded PGlite otherwise. */
export function openEngine(
  { databaseUrl, dataDir, pooler }: Settings,
  options: { mustExist?: boolean } = {},
): Promise<Engine> {
  return databaseUrl === undefined
    ? openPglite(dataDir, options)
    : openPostgres({ url: databaseUrl, pooler });
}

/**
 * Lends a command the database that is there already, and closes it afterwards.
 *
 * @throws {SetupError} where there is none, or where it lacks migrations.
 */
export async function withLedger<T>(
  settings: Settings,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(settings, { mustExist: true });
  try {
    const pending = await pendingMigrations(engine.reader);
    if (pending.length > 0) {
      throw new SetupError(
        `The database lacks ${pending.length} of this tallystick's migrations. Run tallystick migrate first.`,
      );
    }
    return await work(engine);
  } finally {
    await engine.close();
  }
}
