import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './cluster.mjs';

/** A PgBouncer in transaction mode in front of the cluster; TEST_PGBOUNCER names another one. */

const PROGRAM = [process.env.TEST_PGBOUNCER, '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find(
  (path) => path && existsSync(path),
);

/** How many sessions it has: PgBouncer's own default. */
const SESSIONS = 20;

/** How many named statements it takes along; 0 with what is older than 1.21. */
const NAMES_MAX = Number(process.env.BENCH_MAX_PREPARED ?? 0);

export async function startPooler(cluster) {
  if (PROGRAM === undefined) throw new Error('PgBouncer is not installed (Debian: pgbouncer).');
  const { hostname, port } = new URL(cluster.url('postgres'));
  const directory = mkdtempSync(join(tmpdir(), 'tallystick-bench-pooler-'));
  const own = await freePort();
  const file = join(directory, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=${hostname} port=${port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${SESSIONS}
${NAMES_MAX > 0 ? `max_prepared_statements = ${NAMES_MAX}` : ''}
`,
  );
  const child = spawn(PROGRAM, ['-q', file], { stdio: 'ignore', ...ownerOf(directory) });
  await listening(own);
  return {
    url: (database) => `postgres://postgres@127.0.0.1:${own}/${database}`,
    version: execFileSync(PROGRAM, ['--version'], { encoding: 'utf8' }).split('\n')[0],
    async stop() {
      const gone = once(child, 'exit');
      // Newer ones wait at SIGTERM until their last client has gone.
      child.kill('SIGKILL');
      await gone;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** PgBouncer refuses to run as root. */
function ownerOf(directory) {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const owner = { uid: id('-u'), gid: id('-g') };
  chownSync(directory, owner.uid, owner.gid);
  chmodSync(directory, 0o700);
  return owner;
}

async function listening(port) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const reached = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (reached) return;
    if (Date.now() > deadline) throw new Error('PgBouncer does not listen.');
    // It offers nothing that could be awaited.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
