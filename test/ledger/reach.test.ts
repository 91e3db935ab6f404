import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareUse, endOf } from '../../src/core/funds.js';
import type { Uuid } from '../../src/core/id.js';
import type { Grant } from '../../src/core/model.js';
import { newId } from '../../src/ledger/ids.js';
import { ensureKey, generateKey, KeyRing, Ledger, type Store } from '../../src/ledger/index.js';
import { holdCommand } from '../../src/ledger/requests.js';
import { findGrants, type Reach, toGrants } from '../../src/store/funds.js';
import { insertGrants } from '../../src/store/write-funds.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { expectSound } from '../harness/verify.js';

/** The database reads as many grants as commands can reach, in the very order of `compareUse`. */

const NOW = Date.parse('2026-03-01T00:00:00.000Z');
const STORE = newId();
const ACCOUNTS = 40;
const GRANTS_MAX = 12;

/** Park and Miller's generator: enough for tests, and the same from the same seed. */
function generator(seed: number): (below: number) => number {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

/** Few values for each field, so that every rule of the order decides now and then. */
function randomGrant(accountId: Uuid, below: (below: number) => number): Grant {
  const near = () => NOW + (below(5) - 2) * 1000;
  const remaining = BigInt(below(4));
  return {
    id: newId(),
    accountId,
    transactionId: newId(),
    amount: 10n,
    remaining,
    priority: [10, 50][below(2)]!,
    category: below(2) === 0 ? 'paid' : 'promotional',
    effectiveAt: near(),
    expiresAt: below(3) === 0 ? null : near(),
    voidedAt: below(6) === 0 ? near() : null,
    announcedAt: null,
    createdAt: near(),
  };
}

/** What must be read: all that has ended, and the usable in order until they cover the rest. */
function expected(grants: readonly Grant[], { taken, at }: Reach) {
  const open = grants.filter(({ remaining }) => remaining > 0n).sort(compareUse);
  const read: Uuid[] = [];
  let covered = 0n;
  let unread = 0n;
  for (const grant of open) {
    if (covered <= taken || endOf(grant) <= at) read.push(grant.id);
    else unread += grant.remaining;
    if (grant.effectiveAt <= at && endOf(grant) > at) covered += grant.remaining;
  }
  return { read: read.sort(), unread };
}

onEngines((engine) => {
  describe('reading grants', () => {
    let database: TestDatabase;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
    });
    afterAll(() => database.drop());

    test('goes as far as is taken, in the order of use, and says what it left', async () => {
      const below = generator(seedOf(`reach on ${engine.name}`));
      const { reader } = database.engine;
      const accounts = Array.from({ length: ACCOUNTS }, () => newId());
      const grants = accounts.flatMap((id) =>
        Array.from({ length: below(GRANTS_MAX) }, () => randomGrant(id, below)),
      );
      const insert = insertGrants(STORE, grants);
      await reader.query(insert.text, insert.values);
      for (let round = 0; round < 5; round++) {
        const reaches = accounts.map((accountId) => ({
          accountId,
          taken: below(6) === 0 ? Infinity : BigInt(below(8)),
          at: NOW + (below(3) - 1) * 1000,
        }));
        const { text, values } = findGrants(STORE, reaches, [], []);
        const found = toGrants(await reader.query(text, values));
        for (const reach of reaches) {
          const ofAccount = ({ accountId }: Grant) => accountId === reach.accountId;
          const read = found.grants.filter(ofAccount);
          const unread = found.unread.get(reach.accountId) ?? 0n;
          const actual = { read: read.map(({ id }) => id).sort(), unread };
          expect(actual).toEqual(expected(grants.filter(ofAccount), reach));
          for (const grant of read) expect(grants).toContainEqual(grant);
        }
      }
    });
  });

  describe('what is not read', () => {
    let database: TestDatabase;
    let ledger: Ledger;
    let store: Store;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
      ledger = new Ledger(database.engine);
      const key = generateKey('test');
      await ensureKey(database.engine.reader, key, { name: 'test', scopes: ['*'] });
      store = (await new KeyRing(database.engine.reader).authenticate(key))!.store;
    });
    afterAll(async () => {
      await expectSound(database.engine.reader);
      await database.drop();
    });

    const fields = () => ({ reference: 'r', key: newId() });

    /** An account with a pool, which is used before its grants, and grants in their order. */
    async function open(pool: bigint, grants: readonly bigint[]): Promise<Uuid> {
      const opening = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: pool };
      const opened = await ledger.open(store, opening);
      if (opened.kind !== 'account') throw new Error(opened.kind);
      const accountId = opened.account.id;
      for (const [index, amount] of grants.entries()) {
        const terms = { priority: 60 + index };
        await ledger.credit(store, { accountId, amount, terms, ...fields() });
      }
      return accountId;
    }

    /** What a debit drew from grants, in order; the rest came from the pool. */
    async function drawn(accountId: Uuid, amount: bigint): Promise<bigint[]> {
      const outcome = await ledger.debit(store, { accountId, amount, ...fields() });
      if (outcome.kind !== 'transaction') throw new Error(JSON.stringify(outcome));
      return outcome.transaction.drawdowns.map((drawdown) => drawdown.amount);
    }

    test('is not taken for the pool', async () => {
      const accountId = await open(2n, [5n, 100n]);
      expect(await drawn(accountId, 3n)).toEqual([1n]);
    });

    test('is no reason to refuse', async () => {
      const accountId = await open(2n, [5n, 100n]);
      expect(await drawn(accountId, 107n)).toEqual([5n, 100n]);
    });

    test('is read where a hold keeps what comes first', async () => {
      const accountId = await open(0n, [5n, 100n]);
      await ledger.execute(
        store,
        holdCommand({ accountId, amount: 5n, expiresInMs: 60_000, ...fields() }),
      );
      expect(await drawn(accountId, 3n)).toEqual([3n]);
    });

    test('is read for a transaction over several accounts', async () => {
      const accountId = await open(0n, [5n, 100n]);
      const other = await open(0n, []);
      const postings = [
        { accountId, amount: -50n },
        { accountId: other, amount: 50n },
      ];
      const outcome = await ledger.post(store, { postings, ...fields() });
      expect(outcome).toMatchObject({ kind: 'transaction' });
    });

    test('is reached by the debits of one batch together', async () => {
      const accountId = await open(0n, [5n, 5n, 5n, 5n]);
      const debits = Array.from({ length: 6 }, () => drawn(accountId, 3n));
      expect((await Promise.all(debits)).flat().reduce((sum, part) => sum + part)).toBe(18n);
    });
  });
});
