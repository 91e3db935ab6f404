import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** Real processes for tests: a PostgreSQL cluster of their own and the built program. */

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const temporary = new Set<string>();
// Registered before every other hook of its file, so that it runs after all of them.
afterAll(() => {
  for (const path of temporary) rmSync(path, { recursive: true, force: true });
});

/** Makes a directory that `owner` can use; removed after the last test of the file. */
export function temporaryDirectory(owner?: Owner): string {
  const path = mkdtempSync(join(tmpdir(), 'tallystick-e2e-'));
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  chmodSync(path, 0o700);
  temporary.add(path);
  return path;
}

let template: Promise<string> | undefined;

/** A migrated PGlite directory of one's own: a copy, because making one takes seconds. */
export async function embeddedDirectory(): Promise<string> {
  template ??= (async () => {
    const path = join(temporaryDirectory(), 'data');
    const { code, stderr } = await run(['migrate'], { TALLYSTICK_DATA_DIR: path });
    if (code !== 0) throw new Error(stderr);
    return path;
  })();
  const path = join(temporaryDirectory(), 'data');
  cpSync(await template, path, { recursive: true });
  return path;
}

/** Repeats a question until it is answered with something, and fails at the deadline. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 20_000,
): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`Waited ${milliseconds} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root, so root lends it an account that can do little. */
function clusterOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const number = (flag: string) =>
      Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout);
    const owner = { uid: number('-u'), gid: number('-g') };
    if (owner.uid > 0) return owner;
  }
  return undefined;
}

function findBinaries(): string | undefined {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];
  const folders = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => `/usr/lib/postgresql/${version}/bin`);
  return [...folders, ...(process.env.PATH ?? '').split(delimiter)].find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'pg_ctl')),
  );
}

export const POSTGRES_BINARIES = findBinaries();

if (POSTGRES_BINARIES === undefined) {
  console.warn('There are no PostgreSQL binaries here: the PostgreSQL half is skipped.');
}

/** Finds a port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A throw-away PostgreSQL cluster that syncs to disk, on loopback and a port of its own. */
export class Cluster {
  readonly directory: string;
  readonly #owner: Owner | undefined;
  readonly #port: number;
  #databases = 0;

  private constructor(directory: string, owner: Owner | undefined, port: number) {
    this.directory = directory;
    this.#owner = owner;
    this.#port = port;
  }

  static async start(): Promise<Cluster> {
    const owner = clusterOwner();
    const cluster = new Cluster(temporaryDirectory(owner), owner, await freePort());
    await cluster.#run('initdb', [
      '-D',
      cluster.#data,
      '-U',
      'tallystick',
      '-A',
      'trust',
      '-E',
      'UTF8',
    ]);
    await cluster.#control('start');
    return cluster;
  }

  /** The URL of a new, empty database. */
  async database(): Promise<string> {
    this.#databases++;
    const name = `e2e_${this.#databases}`;
    await this.psql('postgres', `create database ${name}`);
    return this.url(name);
  }

  url(database: string): string {
    return `postgres://tallystick@127.0.0.1:${this.#port}/${database}`;
  }

  psql(database: string, sql: string): Promise<string> {
    return this.#run('psql', ['-X', '-q', '-A', '-t', '-d', this.url(database), '-c', sql]);
  }

  dump(url: string): Promise<string> {
    return this.#run('pg_dump', ['-d', url]);
  }

  /** Stops all its processes without a checkpoint, as a crash would, and starts it again. */
  async crashAndRestart(): Promise<void> {
    await this.halt();
    await this.resume();
  }

  async halt(): Promise<void> {
    await this.#control('stop', '-m', 'immediate');
  }

  async resume(): Promise<void> {
    await this.#control('start');
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.directory, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.directory, 'data');
  }

  #control(action: string, ...rest: string[]): Promise<string> {
    const options = `-p ${this.#port} -h 127.0.0.1 -k ${this.directory} -c fsync=on`;
    const start = action === 'start' ? ['-o', options, '-l', join(this.directory, 'log')] : [];
    return this.#run('pg_ctl', [action, '-w', '-D', this.#data, ...start, ...rest]);
  }

  async #run(program: string, values: string[]): Promise<string> {
    const child = spawn(join(POSTGRES_BINARIES!, program), values, {
      ...this.#owner,
      cwd: this.directory,
      env: { ...process.env, LC_ALL: 'C' },
      // pg_ctl leaves the server behind, which must not hold our pipes open.
      stdio: program === 'pg_ctl' ? 'ignore' : ['ignore', 'pipe', 'pipe'],
    });
    const ended = outputOf(child);
    const { code, stdout, stderr } = await ended;
    if (code !== 0) throw new Error(`${program} ${values.join(' ')} failed: ${stderr}`);
    return stdout;
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function outputOf(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** What a process gets to see: nothing of the settings of whoever runs the tests. */
function environment(settings: Record<string, string>): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...settings };
}

/** Runs the program to its end. */
export function run(
  values: string[],
  settings: Record<string, string> = {},
  cwd = tmpdir(),
): Promise<Ended> {
  return start(values, settings, cwd).ended;
}

/** Starts the program, to be killed in the midst of its work. */
export function start(values: string[], settings: Record<string, string>, cwd = tmpdir()) {
  const child = spawn(process.execPath, [MAIN, ...values], { cwd, env: environment(settings) });
  const ended = outputOf(child);
  return {
    ended,
    kill(): Promise<Ended> {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

/** A server process, started and listening. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** The key that it printed, where this was its first start. */
  readonly key: string | undefined;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): Promise<Ended>;
}

export async function startServer(settings: Record<string, string>): Promise<ServerProcess> {
  const child = spawn(process.execPath, [MAIN, 'serve'], {
    cwd: tmpdir(),
    env: environment({ PORT: '0', LOG_LEVEL: 'error', ...settings }),
  });
  const ended = outputOf(child);
  let announced = '';
  child.stdout.on('data', (text: string) => {
    announced += text;
  });
  const early = ended.then(({ code, stderr }) => {
    throw new Error(`The server ended with ${code}: ${stderr}`);
  });
  early.catch(() => {});
  // The lines are written at once, so the last of them is there with the first.
  const url = await Promise.race([
    early,
    until('the server listens', () => /listens on (\S+) .*\n.*\n/.exec(announced)?.[1], 40_000),
  ]);
  return {
    url,
    pid: child.pid!,
    key: /shown this once: (\S+)/.exec(announced)?.[1],
    ended,
    kill(signal) {
      child.kill(signal);
      return ended;
    },
  };
}
