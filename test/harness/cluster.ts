import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { endWithUs, removeWithUs } from './leash.js';
import { WAIT_MS_MAX } from './until.js';

/** A PostgreSQL cluster, or what stands in front of one, on loopback. */
export interface Cluster {
  readonly url: string;
  stop(): Promise<void>;
}

/** A cluster of one's own, which can crash. */
export interface OwnCluster extends Cluster {
  /** Stops all its processes without a checkpoint, as a crash would. */
  halt(): Promise<void>;
  resume(): Promise<void>;
}

interface Started extends Cluster {
  /** Ends it by another signal, and keeps its folder. */
  end(signal: NodeJS.Signals): Promise<void>;
}

const DEBIAN = '/usr/lib/postgresql';

/**
 * The folder of the PostgreSQL server that tests use: `TEST_PG_BIN`, or else the newest one here.
 *
 * @returns undefined where there is none.
 * @throws where `TEST_PG_BIN` names a folder without a server.
 */
export function findBinaries(): string | undefined {
  const named = process.env.TEST_PG_BIN;
  if (!named) return folderWith(['initdb', 'postgres']);
  if (holds(named, ['initdb', 'postgres'])) return named;
  throw new Error(
    `TEST_PG_BIN is ${named}, where initdb and postgres are not. scripts/postgres.sh MAJOR prints a folder that has them.`,
  );
}

/** The newest folder that has these programs, of Debian's and of `PATH`. */
export function folderWith(programs: readonly string[]): string | undefined {
  const debian = existsSync(DEBIAN)
    ? readdirSync(DEBIAN)
        .sort((a, b) => Number(b) - Number(a))
        .map((major) => join(DEBIAN, major, 'bin'))
    : [];
  const folders = [...debian, ...(process.env.PATH ?? '').split(delimiter)];
  return folders.find((folder) => holds(folder, programs));
}

function holds(folder: string, programs: readonly string[]): boolean {
  return programs.every((name) => existsSync(join(folder, name)));
}

/** What a cluster is set to that promises nothing, unless somebody says otherwise. */
const THROWAWAY: Settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  log_min_messages: 'fatal',
};

/** What a cluster is set to besides, so that it keeps what it has acknowledged. */
export const DURABLE: Settings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  autovacuum: 'on',
};

export type Settings = Readonly<Record<string, string>>;

/** Makes and starts a cluster, which is removed at its end. It syncs no file unless told to. */
export async function startCluster(binaries: string, settings: Settings = {}): Promise<OwnCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-postgres-'));
  const user = ownerOf(folder);
  const data = join(folder, 'data');
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '-N'];
  const [command, args] = as(user, join(binaries, 'initdb'), initdb);
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
  const port = await freePort();
  const all = { ...THROWAWAY, ...settings, port: String(port) };
  const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = as(user, join(binaries, 'postgres'), ['-D', data, ...options]);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const start = () => startIn(folder, server, url, 'SIGQUIT');
  let running = await start();
  return {
    url,
    stop: () => running.stop(),
    halt: () => running.end('SIGQUIT'),
    async resume() {
      running = await start();
    },
  };
}

/** Starts what answers as PostgreSQL does, in a folder that is removed at its end. */
export async function startIn(
  folder: string,
  [command, args]: [string, string[]],
  url: string,
  endedBy: NodeJS.Signals,
): Promise<Started> {
  const child = spawn(command, args, { stdio: 'ignore', cwd: folder });
  removeWithUs(folder);
  endWithUs(child, 'SIGQUIT');
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const end = async (signal: NodeJS.Signals) => {
    // The wrapper that changed the user has become the server itself, so this reaches it.
    child.kill(signal);
    await gone;
  };
  const stop = async () => {
    await end(endedBy);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await answers(url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop, end };
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
  const deadline = Date.now() + WAIT_MS_MAX;
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
