import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { generateKey, KeyRing, revokeKey } from '../../src/ledger/index.js';
import { ensureKey } from '../../src/ledger/keys.js';
import { onEngine, PGLITE, type TestDatabase } from '../harness/engines.js';

/** For how long a key is believed; the time is the test's own. */

onEngine(PGLITE, (engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create();
  });
  afterAll(() => database.drop());

  test('an answer that took long is as old as its question', async () => {
    const { reader } = database.engine;
    const key = generateKey('test');
    const id = await ensureKey(reader, key, { name: 'test', scopes: ['*'] });
    const clock = vi.spyOn(performance, 'now');
    try {
      clock.mockReturnValue(10_000);
      const ring = new KeyRing({
        async query(text, values) {
          const result = await reader.query(text, values);
          clock.mockReturnValue(10_900);
          return result;
        },
      });
      expect(await ring.authenticate(key)).toBeDefined();
      await revokeKey(reader, id!);
      clock.mockReturnValue(11_000);
      expect(await ring.authenticate(key)).toBeUndefined();
    } finally {
      clock.mockRestore();
    }
  });

  test('a key that rested is not believed a second after it was looked up', async () => {
    const { reader } = database.engine;
    const key = generateKey('test');
    const id = await ensureKey(reader, key, { name: 'test', scopes: ['*'] });
    const ring = new KeyRing(reader);
    const clock = vi.spyOn(performance, 'now');
    try {
      clock.mockReturnValue(10_000);
      expect(await ring.authenticate(key)).toBeDefined();
      await revokeKey(reader, id!);
      // Nobody asks meanwhile, so that nothing looks it up again.
      clock.mockReturnValue(11_000);
      expect(await ring.authenticate(key)).toBeUndefined();
    } finally {
      clock.mockRestore();
    }
  });
});
