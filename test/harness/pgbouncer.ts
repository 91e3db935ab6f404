import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PoolerMode } from '../../src/store/postgres.js';
import { as, type Cluster, freePort, ownerOf, startIn } from './cluster.js';

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));

export const HAS_PGBOUNCER = PROGRAM !== undefined;

/** Starts a PgBouncer in front of a server. */
export async function startPooler(
  url: string,
  mode: PoolerMode,
  sessions: number,
): Promise<Cluster> {
  const { hostname, port, username, pathname } = new URL(url);
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-pgbouncer-'));
  const user = ownerOf(folder);
  const own = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${port} user=${username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${sessions}
`,
  );
  chmodSync(file, 0o644);
  const behind = `postgres://${username}@127.0.0.1:${own}${pathname}`;
  return startIn(folder, as(user, PROGRAM!, ['-q', file]), behind, 'SIGTERM');
}
