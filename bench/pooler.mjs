import { startPooler as launch, POOLER_VERSION } from './built/pgbouncer.js';

/** How many sessions the pooler has for a database: PgBouncer's own default. */
const SESSIONS = 20;

/** What the server is told of it: `prepared` wants a PgBouncer of 1.21 or later. */
export const MODE = process.env.BENCH_POOLER ?? 'transaction';

/** A PgBouncer in transaction mode in front of the cluster; TEST_PGBOUNCER names another one. */
export async function startPooler(cluster) {
  if (POOLER_VERSION === undefined)
    throw new Error('PgBouncer is not installed (Debian: pgbouncer).');
  const options = { sessions: SESSIONS, names: MODE === 'prepared' };
  const { url, stop } = await launch(cluster.url('postgres'), 'transaction', options);
  return { url: (database) => url.replace(/postgres$/, database), version: POOLER_VERSION, stop };
}
