import { inject } from 'vitest';
import { ensureKey, generateKey } from '../../src/ledger/index.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { Api, Load } from '../e2e/api.js';
import { run } from '../e2e/harness.js';
import { randomFrom } from '../harness/seed.js';

/** Stores on several machines of a cluster, and a load on all of them. */

export const CITUS = inject('postgres')?.citus ? inject('postgres') : undefined;

export const START = 1_000_000;
const ACCOUNTS = 4;

export interface LoadedStore {
  readonly name: string;
  readonly key: string;
  readonly api: Api;
  readonly accounts: readonly string[];
  readonly load: Load;
}

/** Makes keys of so many stores, each of a name and a place of its own. */
export async function makeKeys(url: string, count: number): Promise<Map<string, string>> {
  const engine = await openPostgres({ url, lanes: 1 });
  const keys = new Map<string, string>();
  try {
    for (let number = 0; number < count; number++) {
      const key = generateKey('test');
      const store = `store ${number}`;
      await ensureKey(engine.reader, key, { store, name: 'test', scopes: ['*'] });
      keys.set(store, key);
    }
  } finally {
    await engine.close();
  }
  return keys;
}

/** Opens accounts in each store. */
export async function openStores(
  url: string,
  keys: ReadonlyMap<string, string>,
  seed: number,
): Promise<LoadedStore[]> {
  const stores: LoadedStore[] = [];
  for (const [name, key] of keys) {
    const api = new Api(url, key);
    const accounts: string[] = [];
    for (let number = 0; number < ACCOUNTS; number++) {
      accounts.push(await api.open(`account ${number}`, String(START)));
    }
    const load = new Load(accounts, randomFrom(seed + stores.length));
    stores.push({ name, key, api, accounts, load });
  }
  return stores;
}

export function startAll(stores: readonly LoadedStore[]): void {
  for (const { api, load } of stores) load.start(api, { untilRefused: false });
}

/** Resolves to whether each store has so many more acknowledged than at the time of the call. */
export function progressOf(stores: readonly LoadedStore[], count: number): () => boolean {
  const goals = stores.map(({ load }) => load.acknowledged + count);
  return () => stores.every(({ load }, place) => load.acknowledged >= goals[place]!);
}

/**
 * Sends again what was not acknowledged, and compares every write with what is there.
 *
 * @returns everything that is not as it must be, in words.
 */
export async function settle(stores: readonly LoadedStore[]): Promise<string[]> {
  const faults: string[] = [];
  await Promise.all(stores.map(({ load }) => load.stop()));
  for (const { name, api, accounts, load } of stores) {
    await load.retry(api);
    faults.push(...load.wrong, ...(await load.missing(api)));
    for (const account of accounts) {
      const { body } = await api.get(`/accounts/${account}/balance`);
      const [is, due] = [body.balance, load.expected(account, START)];
      if (is !== due)
        faults.push(`${name}: ${account} has ${JSON.stringify(body)} instead of ${due}`);
    }
  }
  return faults;
}

/** What `verify` says of the whole ledger. */
export async function verified(url: string): Promise<unknown> {
  const { code, stdout } = await run(['verify', '--json'], { DATABASE_URL: url });
  const { clean, differences } = JSON.parse(stdout);
  return { code, clean, differences };
}

export const CLEAN = { code: 0, clean: true, differences: [] };
