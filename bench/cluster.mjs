import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { DURABLE, findBinaries, folderWith, startCluster as launch } from './built/cluster.js';

/** A PostgreSQL of its own with the settings that durable servers have: fsync and all. */

const SETTINGS = {
  ...DURABLE,
  shared_buffers: '1GB',
  max_wal_size: '4GB',
  max_connections: '100',
};

export async function startCluster() {
  const binaries = findBinaries();
  const clients = folderWith(['pgbench', 'psql']);
  if (binaries === undefined || clients === undefined) {
    throw new Error('PostgreSQL and its clients are not installed (Debian: postgresql).');
  }
  const { url, stop } = await launch(binaries, SETTINGS);
  const { port } = new URL(url);
  return {
    url: (database) => url.replace(/postgres$/, database),
    settings: SETTINGS,
    version: execFileSync(join(binaries, 'postgres'), ['--version'], { encoding: 'utf8' }).trim(),
    pgbench: (args) => execFileSync(join(clients, 'pgbench'), [...args], { encoding: 'utf8' }),
    connection: ['-h', '127.0.0.1', '-p', port, '-U', 'postgres'],
    stop,
  };
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
