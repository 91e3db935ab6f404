import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureKey } from '../../src/access/keys.js';
import type { Uuid } from '../../src/core/id.js';
import { generateKey, KeyRing, revokeKey } from '../../src/ledger/index.js';
import { onEngine, PGLITE, type TestDatabase } from '../harness/engines.js';
import { ownClock } from '../harness/own-clock.js';

/** For how long a key is believed; the time is the test's own. */

const clock = ownClock();

onEngine(PGLITE, (engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create();
  });
  afterAll(() => database.drop());

  async function addKey(): Promise<{ key: string; id: Uuid }> {
    const key = generateKey('test');
    const id = await ensureKey(database.engine.reader, key, { name: 'test', scopes: ['*'] });
    return { key, id: id! };
  }

  test('an answer that took long is as old as its question', async () => {
    const { reader } = database.engine;
    const { key, id } = await addKey();
    const ring = new KeyRing({
      async query(text, values) {
        const result = await reader.query(text, values);
        clock.now = 1_900;
        return result;
      },
    });
    expect(await ring.authenticate(key)).toBeDefined();
    await revokeKey(reader, id);
    clock.now = 2_000;
    expect(await ring.authenticate(key)).toBeUndefined();
  });

  test('a key that rested is not believed a second after it was looked up', async () => {
    const { reader } = database.engine;
    const { key, id } = await addKey();
    const ring = new KeyRing(reader);
    expect(await ring.authenticate(key)).toBeDefined();
    await revokeKey(reader, id);
    // Nobody asks meanwhile, so that nothing looks it up again.
    clock.now = 2_000;
    expect(await ring.authenticate(key)).toBeUndefined();
  });
});
