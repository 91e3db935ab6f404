import { openPglite } from '../embedded/pglite.js';
import { type Engine, openPostgres } from '../ledger/index.js';
import type { Settings } from './settings.js';

/** Opens PostgreSQL where a URL is set, and embedded PGlite otherwise. */
export function openEngine({ databaseUrl, dataDir }: Settings): Promise<Engine> {
  return databaseUrl === undefined ? openPglite(dataDir) : openPostgres({ url: databaseUrl });
}
