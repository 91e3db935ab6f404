import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  creditCommand,
  holdCommand,
  openCommand,
  releaseCommand,
  voidCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { readVoids } from '../../src/store/read/funds.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** What the voids of before took is found for them too. */

const MIGRATION = readFileSync(new URL('../../sql/0009_voids.sql', import.meta.url), 'utf8');
const T0 = Date.UTC(2100, 0, 1);

onEngines((engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine);
    store = await createStore(ledger.engine);
  });
  afterAll(() => database.drop());

  /** Voids a grant of nine of which a hold keeps so much, and releases that some time later. */
  async function voided(held: bigint): Promise<string> {
    const fields = { customerId: 'c', name: `held ${held}`, unitLabel: 'u', initialBalance: 0n };
    await ledger.setClock(store, T0);
    const opened = await ledger.execute(store, openCommand(fields));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    const movement = () => ({ accountId: opened.account.id, reference: 'r', key: newId() });
    await ledger.execute(
      store,
      creditCommand({ ...movement(), amount: 9n, terms: { priority: 0 } }),
    );
    const hold = holdCommand({ ...movement(), amount: held || 1n, expiresInMs: 60_000 });
    if (held > 0n) await ledger.execute(store, hold);
    const page = { limit: 1, after: undefined, before: undefined };
    const listed = await ledger.funds.grants(store, opened.account.id, undefined, page);
    const grantId = listed.items[0]!.id;
    await ledger.execute(store, voidCommand(grantId));
    await ledger.setClock(store, T0 + 1);
    if (held > 0n) await ledger.execute(store, releaseCommand(hold.holdId));
    return grantId;
  }

  test('the migration finds what was taken at once, and nothing that went later', async () => {
    const grants = [await voided(0n), await voided(4n), await voided(9n)];
    const { reader } = database.engine;
    const amounts = async () => {
      const voids = await readVoids(reader, store.id, grants);
      return grants.map((id) => voids.get(id)?.amount);
    };
    const before = await readVoids(reader, store.id, grants);
    expect(await amounts()).toEqual([9n, 5n, undefined]);
    await reader.query('update tallystick.grants set void_transaction_id = null');
    expect(await amounts()).toEqual([undefined, undefined, undefined]);
    await reader.query(MIGRATION.slice(MIGRATION.indexOf('update ')));
    expect(await readVoids(reader, store.id, grants)).toEqual(before);
  });
});
