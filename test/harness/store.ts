import { ensureKey, generateKey, KeyRing, type Store } from '../../src/ledger/index.js';
import type { Engine } from '../../src/store/engine/db.js';

/** The default test store of a database, for tests that work on the ledger without a server. */
export async function createStore({ reader }: Engine): Promise<Store> {
  const key = generateKey('test');
  await ensureKey(reader, key, { name: 'test', scopes: ['*'] });
  return (await new KeyRing(reader).authenticate(key))!.store;
}
