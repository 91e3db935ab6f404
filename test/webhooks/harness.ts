import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { openPglite } from '../../src/embedded/pglite.js';
import {
  AddressGuard,
  Deliverer,
  type DeliveryLog,
  type DeliverySettings,
  type Engine,
  ensureKey,
  Ledger,
  listStores,
  migrate,
  readDeliverySettings,
  type Store,
} from '../../src/ledger/index.js';
import { createApp, listen } from '../../src/server/index.js';
import { createSpread, dropSpread } from '../harness/citus.js';
import { findBinaries } from '../harness/cluster.js';
import { databaseUrl, onServer } from '../harness/database.js';

/** What the webhook tests share: a throw-away PostgreSQL, receivers, servers and patience. */

export const KEY = 'tally_test_webhook_tests_0001';
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Closable {
  close(): Promise<void>;
}

/** Polls until a condition holds. @throws at the deadline, saying what was waited for. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  milliseconds = 20_000,
): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited ${milliseconds} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Where databases are made, each by a name. */
export interface TestPostgres extends Closable {
  database(name: string): Promise<string>;
}

/**
 * Starts a PostgreSQL cluster of its own, which is gone after `close`; where there is Citus to test
 * on, it is that.
 */
export async function startPostgres(): Promise<TestPostgres> {
  const given = inject('postgres');
  if (given?.citus) {
    const made: string[] = [];
    return {
      database(name) {
        made.push(`tallystick_${name}_${process.pid}`);
        return createSpread(given.url, made.at(-1)!);
      },
      async close() {
        for (const name of made) await dropSpread(given.url, name);
      },
    };
  }
  const bin = findBinaries();
  if (bin === undefined) throw new Error('There is no PostgreSQL here.');
  const isRoot = process.getuid?.() === 0;
  const directory = mkdtempSync(join(tmpdir(), 'tallystick-webhooks-'));
  const as = (program: string, ...args: string[]): [string, string[]] =>
    isRoot
      ? ['runuser', ['-u', 'postgres', '--', join(bin, program), ...args]]
      : [join(bin, program), args];
  if (isRoot) execFileSync('chown', ['postgres', directory]);
  const data = join(directory, 'data');
  const port = await freePort();
  const options = { cwd: directory, stdio: 'ignore' as const };
  execFileSync(...as('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-N'), options);
  const settings = `-p ${port} -k ${directory} -c listen_addresses=127.0.0.1 -c fsync=off`;
  execFileSync(...as('pg_ctl', '-D', data, '-w', '-o', settings, 'start'), options);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  return {
    async database(name) {
      await onServer(url, `create database ${name}`);
      return databaseUrl(url, name);
    },
    async close() {
      execFileSync(...as('pg_ctl', '-D', data, '-m', 'immediate', 'stop'), options);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Received {
  /** When it arrived, by `performance.now()`. */
  readonly at: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly event: {
    id: string;
    eventType: string;
    created_at: number;
    object: Record<string, string>;
  };
}

export type Answer = (received: Received, response: http.ServerResponse) => void;

/** A receiver on this machine that keeps all it gets; by default it answers 200. */
export async function startReceiver(
  answer: Answer = (_, response) => response.end('ok'),
): Promise<Closable & { url: string; port: number; got: Received[] }> {
  const got: Received[] = [];
  const server = http.createServer(async (request, response) => {
    const at = performance.now();
    let text = '';
    for await (const chunk of request) text += chunk;
    const received = { at, headers: request.headers, text, event: JSON.parse(text) };
    got.push(received);
    answer(received, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    got,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function settingsOf(env: Record<string, string> = {}): DeliverySettings {
  return readDeliverySettings({
    TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1',
    TALLYSTICK_WEBHOOK_RETRY: '0s,100ms,100ms,100ms,100ms',
    TALLYSTICK_WEBHOOK_TIMEOUT: '2s',
    ...env,
  });
}

export interface Running extends Closable {
  readonly ledger: Ledger;
  readonly store: Store;
  readonly url: string;
  readonly deliverer: Deliverer;
}

export const SILENT = { debug() {}, error() {}, info() {}, warn() {} };

/** Runs a whole server in this process: ledger, HTTP and delivery. */
export async function startServer(
  engine: Engine,
  settings = settingsOf(),
  guard = new AddressGuard(settings.allow),
  log: DeliveryLog = SILENT,
): Promise<Running> {
  await migrate(engine);
  await ensureKey(engine.reader, KEY, { name: 'test', scopes: ['*'] });
  const store = (await listStores(engine.reader)).find(({ mode }) => mode === 'test')!;
  const ledger = new Ledger(engine, guard);
  const app = createApp({ ledger, log: SILENT, isDraining: () => false });
  const server = await listen(app, { host: '127.0.0.1', port: 0 });
  const deliverer = new Deliverer(engine, {
    settings,
    guard,
    log,
    counts: ledger.webhooks.attempts,
  });
  ledger.onEvents(() => deliverer.ring());
  deliverer.start();
  return {
    ledger,
    store,
    url: server.url,
    deliverer,
    async close() {
      await Promise.all([server.close(), deliverer.stop()]);
      await ledger.close();
    },
  };
}

export async function startEmbedded(settings = settingsOf()): Promise<Running> {
  return startServer(await openPglite(), settings);
}

export type Called = { status: number; body: Record<string, unknown> & { id: string } };

/** Calls the API as curl would. */
export async function call(
  url: string,
  method: string,
  path: string,
  body?: object,
  key = KEY,
): Promise<Called> {
  const answer = await fetch(url + path, {
    method,
    headers: {
      'x-api-key': key,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Called['body'] };
}

/** Starts the built program; resolves once it has printed a line that matches. */
export async function spawnMain(
  args: readonly string[],
  env: Record<string, string>,
  ready: RegExp,
): Promise<{ child: ChildProcess; output: () => string; exited: Promise<number | null> }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  await until(`${args.join(' ')} prints ${ready}`, () => {
    if (child.exitCode !== null) throw new Error(`It ended early: ${output}`);
    return ready.test(output);
  });
  return { child, output: () => output, exited };
}

/** A small seeded generator (mulberry32), so that a run can be repeated. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
