import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { as, type Cluster, freePort, ownerOf, startIn } from './cluster.js';

/** Another PgBouncer than the system's is tried with its path here. */
const CHOSEN = process.env.TEST_PGBOUNCER;
const PROGRAM = CHOSEN
  ? CHOSEN
  : ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));

export const HAS_PGBOUNCER = PROGRAM !== undefined;

/** Undefined where there is none. */
export const POOLER_VERSION =
  PROGRAM && execFileSync(PROGRAM, ['--version'], { encoding: 'utf8' }).split('\n')[0];

/** Since 1.21 a pooler in transaction mode can take named statements along. */
export const TAKES_NAMES_ALONG =
  Number(/PgBouncer 1\.(\d+)/.exec(POOLER_VERSION ?? '')?.[1] ?? 0) >= 21;

/** How many sessions a pooler of the whole suite has for one database; PgBouncer's default is 20. */
const SESSIONS = { transaction: 20, session: 60 };

/** PgBouncer's own modes. */
type PoolMode = 'transaction' | 'session';

/** The mode of the pooler behind which the whole suite runs; undefined where it runs without. */
export function suiteMode(): PoolMode | undefined {
  const mode = process.env.TEST_POOLER || undefined;
  if (mode === undefined || mode === 'transaction' || mode === 'session') return mode;
  throw new Error(`TEST_POOLER must be transaction or session, not "${mode}".`);
}

/** Puts in front of a server what TEST_POOLER asks for, which may be nothing. */
export async function inFrontOf(url: string): Promise<Cluster> {
  const mode = suiteMode();
  if (mode === undefined) return { url, stop: async () => {} };
  if (!HAS_PGBOUNCER) throw new Error('TEST_POOLER needs PgBouncer: install it.');
  return startPooler(url, mode, { sessions: SESSIONS[mode] });
}

interface PoolerOptions {
  /** How many sessions one database has. */
  readonly sessions: number;
  /** Where to listen, where one that went away is to be there again. */
  readonly at?: number;
  /** False for one that takes no named statements along although it could. */
  readonly names?: boolean;
}

/** Starts a PgBouncer in front of a server. */
export async function startPooler(
  url: string,
  mode: PoolMode,
  { sessions, at, names = true }: PoolerOptions,
): Promise<Cluster> {
  const { hostname, port, username, pathname } = new URL(url);
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-pgbouncer-'));
  const user = ownerOf(folder);
  const own = at ?? (await freePort());
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    // Its own default is to try a server that was away again only after 15 seconds.
    `[databases]
* = host=${hostname} port=${port} user=${username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${sessions}
max_client_conn = 1000
server_login_retry = 1
${TAKES_NAMES_ALONG ? `max_prepared_statements = ${names ? 200 : 0}` : ''}
`,
  );
  chmodSync(file, 0o644);
  const behind = `postgres://${username}@127.0.0.1:${own}${pathname}`;
  // Newer ones wait at SIGTERM until their last client has gone.
  return startIn(folder, as(user, PROGRAM!, ['-q', file]), behind, 'SIGKILL');
}
