import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PoolerMode } from '../../src/store/postgres.js';
import { answers, as, freePort, ownerOf } from './cluster.js';

/** A PgBouncer in front of a server, on loopback. */
export interface Pooler {
  readonly url: string;
  stop(): Promise<void>;
}

const PROGRAM = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));

export const HAS_PGBOUNCER = PROGRAM !== undefined;

export async function startPooler(
  url: string,
  mode: PoolerMode,
  sessions: number,
): Promise<Pooler> {
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
  const [command, args] = as(user, PROGRAM!, ['-q', file]);
  const child = spawn(command, args, { stdio: 'ignore', cwd: folder });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const behind = `postgres://${username}@127.0.0.1:${own}${pathname}`;
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(behind);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: behind, stop };
}
