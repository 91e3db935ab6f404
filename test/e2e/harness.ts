import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, inject } from 'vitest';
import { createSpread, dropSpread } from '../harness/citus.js';
import {
  type Cluster as Answering,
  DURABLE,
  findBinaries,
  type OwnCluster,
  type Settings,
  startCluster,
} from '../harness/cluster.js';
import { databaseUrl, onServer } from '../harness/database.js';
import { endWithUs, removeWithUs } from '../harness/leash.js';
import { inFrontOf } from '../harness/pgbouncer.js';
import { copyTemplate } from '../harness/pglite.js';
import { until } from '../harness/until.js';

/** Real processes for tests: a PostgreSQL cluster of their own and the built program. */

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

const temporary = new Set<string>();
// Registered before every other hook of its file, so that it runs after all of them.
afterAll(() => {
  for (const path of temporary) rmSync(path, { recursive: true, force: true });
});

/** Makes a directory, which is removed after the last test of the file. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'tallystick-e2e-'));
  temporary.add(path);
  removeWithUs(path);
  return path;
}

/** A migrated PGlite directory of one's own. */
export function embeddedDirectory(): string {
  const path = join(temporaryDirectory(), 'data');
  copyTemplate(path);
  return path;
}

export const POSTGRES_BINARIES = findBinaries();

/** The engines that a test can be declared for once each. */
export const ENGINES: readonly string[] = [
  ...(process.env.TEST_PGLITE === 'off' ? [] : ['PGlite']),
  ...(POSTGRES_BINARIES === undefined ? [] : ['PostgreSQL']),
];

if (POSTGRES_BINARIES === undefined) {
  console.warn('There are no PostgreSQL binaries here: the PostgreSQL half is skipped.');
}

/**
 * A throw-away PostgreSQL cluster that syncs to disk, on loopback and a port of its own. Where
 * there is Citus to test on it is that: its databases are spread, and nobody may stop it.
 */
export class Cluster {
  readonly #url: string;
  readonly #own: OwnCluster | undefined;
  readonly #spread: string[] = [];
  #databases = 0;
  #front: Answering | undefined;

  private constructor(url: string, own: OwnCluster | undefined) {
    this.#url = url;
    this.#own = own;
  }

  static async start(settings: Settings = {}): Promise<Cluster> {
    const given = inject('postgres');
    if (given?.citus) return new Cluster(given.url, undefined);
    const own = await startCluster(POSTGRES_BINARIES!, { ...DURABLE, ...settings });
    const cluster = new Cluster(own.url, own);
    cluster.#front = await inFrontOf(own.url);
    return cluster;
  }

  /** The URL of a new, empty database, behind the pooler that TEST_POOLER may ask for. */
  async database(): Promise<string> {
    this.#databases++;
    if (this.#own === undefined) {
      const spread = `e2e_${process.pid}_${randomBytes(3).toString('hex')}_${this.#databases}`;
      this.#spread.push(spread);
      return createSpread(this.#url, spread);
    }
    const name = `e2e_${this.#databases}`;
    await this.sql(`create database ${name}`);
    return databaseUrl(this.#front?.url ?? this.#url, name);
  }

  /** The same database without that pooler. */
  direct(url: string): string {
    return databaseUrl(this.#url, new URL(url).pathname.slice(1));
  }

  /** Runs statements in a database, or else in that of nobody; no pooler is asked. */
  // biome-ignore lint/suspicious/noExplicitAny: a driver's row has whatever the statement selects.
  sql(statements: string, url = this.#url): Promise<any[]> {
    return onServer(this.direct(url), statements);
  }

  /** All rows of the ledger's tables, as one text. */
  async textOf(url: string): Promise<string> {
    const named = "select tablename as name from pg_tables where schemaname = 'tallystick'";
    const tables = await this.sql(named, url);
    const rows = await Promise.all(
      tables.map(({ name }) => this.sql(`select t::text as row from tallystick.${name} t`, url)),
    );
    return rows
      .flat()
      .map(({ row }) => row)
      .join('\n');
  }

  /** Stops all its processes without a checkpoint, as a crash would, and starts it again. */
  async crashAndRestart(): Promise<void> {
    await this.halt();
    await this.resume();
  }

  halt(): Promise<void> {
    return this.#stoppable.halt();
  }

  resume(): Promise<void> {
    return this.#stoppable.resume();
  }

  async stop(): Promise<void> {
    for (const name of this.#spread) await dropSpread(this.#url, name);
    await this.#front?.stop();
    await this.#own?.stop();
  }

  get #stoppable(): OwnCluster {
    if (this.#own === undefined) throw new Error("A Citus cluster is not this test's to stop.");
    return this.#own;
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
  main = MAIN,
): Promise<Ended> {
  return start(values, settings, cwd, main).ended;
}

/** Starts the program, to be killed in the midst of its work. */
export function start(
  values: string[],
  settings: Record<string, string>,
  cwd = tmpdir(),
  main = MAIN,
) {
  const child = spawn(process.execPath, [main, ...values], { cwd, env: environment(settings) });
  endWithUs(child, 'SIGKILL');
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

/** @param main another program than this one, such as its next version. */
export async function startServer(
  settings: Record<string, string>,
  main = MAIN,
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, 'serve'], {
    cwd: tmpdir(),
    env: environment({ PORT: '0', LOG_LEVEL: 'error', ...settings }),
  });
  endWithUs(child, 'SIGKILL');
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
    until('the server listens', () => /listens on (\S+) .*\n.*\n/.exec(announced)?.[1]),
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
