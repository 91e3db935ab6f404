import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A PostgreSQL of its own with the settings that durable servers have: fsync and all. */

const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  listen_addresses: '127.0.0.1',
  max_connections: '100',
};

function findBinaries() {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(root, version, 'bin')).find(existsSync);
  if (found === undefined) throw new Error('PostgreSQL is not installed (Debian: postgresql).');
  return found;
}

export async function startCluster() {
  const bin = findBinaries();
  const directory = mkdtempSync(join(tmpdir(), 'tallystick-bench-'));
  const asRoot = process.getuid?.() === 0;
  const owner = asRoot ? 'postgres' : undefined;
  if (asRoot) {
    const id = (flag) => Number(execFileSync('id', [flag, owner], { encoding: 'utf8' }));
    chownSync(directory, id('-u'), id('-g'));
  }
  const run = (command, args) =>
    asRoot
      ? execFileSync('runuser', ['-u', owner, '--', join(bin, command), ...args])
      : execFileSync(join(bin, command), args);
  const port = await freePort();
  const data = join(directory, 'data');
  run('initdb', ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync']);
  const options = Object.entries({ ...SETTINGS, port, unix_socket_directories: directory })
    .map(([name, value]) => `-c ${name}='${value}'`)
    .join(' ');
  run('pg_ctl', ['-D', data, '-w', '-l', join(directory, 'log'), '-o', options, 'start']);
  const url = (database) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  return {
    url,
    settings: SETTINGS,
    version: run('postgres', ['--version']).toString().trim(),
    pgbench: (args) => execFileSync(join(bin, 'pgbench'), [...args], { encoding: 'utf8' }),
    connection: ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres'],
    stop() {
      run('pg_ctl', ['-D', data, '-w', '-m', 'immediate', 'stop']);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts the server as a user would, and resolves once it listens. */
export function startServer(environment) {
  const script = new URL('../dist/cli/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, 'serve'], {
    env: { ...process.env, PORT: '0', LOG_LEVEL: 'error', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let text = '';
    child.on('exit', (code) => reject(new Error(`The server ended with ${code}.`)));
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const url = /listens on (http:\/\/[\d.:]+)/.exec(text)?.[1];
      if (url !== undefined) resolve({ url, pid: child.pid, stop: () => stopChild(child) });
    });
  });
}

function stopChild(child) {
  child.removeAllListeners('exit');
  return new Promise((resolve) => {
    child.on('exit', resolve);
    child.kill('SIGTERM');
  });
}
