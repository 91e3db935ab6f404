import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';

/** A PostgreSQL cluster, or what stands in front of one, on loopback. */
export interface Cluster {
  readonly url: string;
  stop(): Promise<void>;
}

const DEBIAN = '/usr/lib/postgresql';
const READY_MS_MAX = 30_000;

/** The folder of the newest PostgreSQL server here; undefined where there is none. */
export function findBinaries(): string | undefined {
  const debian = existsSync(DEBIAN)
    ? readdirSync(DEBIAN)
        .sort((a, b) => Number(b) - Number(a))
        .map((major) => join(DEBIAN, major, 'bin'))
    : [];
  const folders = [...debian, ...(process.env.PATH ?? '').split(delimiter)];
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))),
  );
}

/** Starts a cluster that promises nothing: it syncs no file and is removed at the end. */
export async function startCluster(binaries: string): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-postgres-'));
  const user = ownerOf(folder);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N'];
  const [command, args] = as(user, join(binaries, 'initdb'), initdb);
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'autovacuum=off',
    'log_min_messages=fatal',
  ].flatMap((setting) => ['-c', setting]);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const server = as(user, join(binaries, 'postgres'), ['-D', data, ...settings]);
  return startIn(folder, server, url, 'SIGINT');
}

/** Starts what answers as PostgreSQL does, in a folder that is removed at its end. */
export async function startIn(
  folder: string,
  [command, args]: [string, string[]],
  url: string,
  endedBy: NodeJS.Signals,
): Promise<Cluster> {
  const child = spawn(command, args, { stdio: 'ignore', cwd: folder });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const stop = async () => {
    // The wrapper that changed the user has become the server itself, so this reaches it.
    child.kill(endedBy);
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

/** PostgreSQL refuses to run as root, so there the folder is given to somebody else. */
export function ownerOf(folder: string): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const known = ['postgres', 'nobody'].find((user) => {
    try {
      execFileSync('id', ['-u', user], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
  if (known === undefined) throw new Error('PostgreSQL needs a user other than root.');
  execFileSync('chown', [known, folder]);
  chmodSync(folder, 0o700);
  return known;
}

export function as(user: string | undefined, command: string, args: string[]): [string, string[]] {
  if (user === undefined) return [command, args];
  const identity = [`--reuid=${user}`, '--regid', groupOf(user), '--clear-groups'];
  // setpriv replaces itself by the command, which so keeps the process id that was started.
  return ['setpriv', [...identity, '--', command, ...args]];
}

function groupOf(user: string): string {
  return execFileSync('id', ['-g', user], { encoding: 'utf8' }).trim();
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** Resolves once a server answers. */
export async function answers(url: string): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX;
  for (;;) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      // A server that is starting refuses connections, and offers nothing that could be awaited.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
