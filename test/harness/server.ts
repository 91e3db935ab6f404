import { ensureKey, generateKey, KeyRing, Ledger, type Store } from '../../src/ledger/index.js';
import { createApp, type Listening, type Log, listen } from '../../src/server/index.js';
import type { Engine } from '../../src/store/engine/db.js';

/** A server on a real socket, with a key that may do everything. */
export interface TestServer {
  readonly url: string;
  readonly key: string;
  readonly store: Store;
  readonly ledger: Ledger;
  /** What the server logged as errors; a test that expects none can say so. */
  readonly errors: unknown[];
  /** Makes another key: of the same store, unless another is named. */
  addKey(options?: { store?: string; scopes?: readonly string[] }): Promise<string>;
  /** Stops the server, and leaves the database to whoever made it. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly ledger?: Ledger;
  /** Another server on the same database, whose store this one is to serve too. */
  readonly beside?: TestServer;
}

let stores = 0;

/** Each server has a store of its own, so that several can share one database. */
export async function startServer(
  engine: Engine,
  { ledger = new Ledger(engine), beside }: ServerOptions = {},
): Promise<TestServer> {
  const name = beside?.store.name ?? `store ${process.pid} ${stores++}`;
  const addKey: TestServer['addKey'] = async ({ store, scopes } = {}) => {
    const key = generateKey('test');
    const wanted = { store: store ?? `store ${process.pid} ${stores++}`, name: 'test' };
    await ensureKey(engine.reader, key, { ...wanted, scopes: scopes ?? ['*'] });
    return key;
  };
  const key = beside?.key ?? (await addKey({ store: name }));
  const access = await new KeyRing(engine.reader).authenticate(key);
  const errors: unknown[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    error: (fields) => {
      errors.push(fields);
    },
  };
  const app = createApp({ ledger, log, isDraining: () => false });
  const listening: Listening = await listen(app, { host: '127.0.0.1', port: 0 });
  return {
    url: listening.url,
    key,
    store: access!.store,
    ledger,
    errors,
    addKey: (options) => addKey({ store: name, ...options }),
    close: () => listening.close(),
  };
}
