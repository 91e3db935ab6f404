import { type ChildProcess, spawn } from 'node:child_process';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
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
import { Api } from '../harness/api.js';
import { endWithUs } from '../harness/leash.js';
import { openMemory } from '../harness/pglite.js';
import { until } from '../harness/until.js';

/** What the webhook tests share: a throw-away PostgreSQL, receivers, servers and patience. */

export const KEY = 'tally_test_webhook_tests_0001';
export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Closable {
  close(): Promise<void>;
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
  return startServer(await openMemory(), settings);
}

export type Called = { status: number; body: Record<string, unknown> & { id: string } };

/** Calls the API as curl would. */
export function call(
  url: string,
  method: string,
  path: string,
  body?: object,
  key = KEY,
): Promise<Called> {
  return new Api(url, key).send(method, path, { body });
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
  endWithUs(child, 'SIGKILL');
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
