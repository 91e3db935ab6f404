import {
  type Engine,
  openPostgres,
  pendingMigrations,
  SetupError,
  schemaFault,
} from '../ledger/index.js';
import { openPglite } from '../pglite/pglite.js';
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
 * @throws {SetupError} where there is none, where it lacks migrations or is of a newer program, and
 * where an import into it is not finished.
 */
export async function withLedger<T>(
  settings: Settings,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await openEngine(settings, { mustExist: true });
  try {
    const fault = await schemaFault(engine.reader);
    if (fault !== undefined) throw new SetupError(fault);
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
