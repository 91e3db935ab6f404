import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Beginning, compareUse, freeOf } from '../../src/core/funds/funds.js';
import type { Uuid } from '../../src/core/id.js';
import type { Grant } from '../../src/core/model.js';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  postCommand,
  voidCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { GRANTS } from '../../src/store/rows/rows.js';
import {
  findGrants,
  findPending,
  type Reach,
  toGrants,
  toPending,
} from '../../src/store/write/reach.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';

/** The database reads as many grants as commands can reach, in the very order of `compareUse`. */

const NOW = Date.parse('2026-03-01T00:00:00.000Z');
const STORE = newId();
const ACCOUNTS = 40;
const GRANTS_MAX = 12;
const PAGE = { limit: 100, after: undefined, before: undefined };

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
  // Of what was voided nothing is left but what holds keep.
  const voidedAt = below(6) === 0 ? near() : null;
  const kept = BigInt(below(4));
  return {
    id: newId(),
    accountId,
    transactionId: newId(),
    amount: 10n,
    remaining,
    held: voidedAt !== null || kept > remaining ? remaining : kept,
    priority: [10, 50][below(2)]!,
    category: below(2) === 0 ? 'paid' : 'promotional',
    effectiveAt: near(),
    expiresAt: below(3) === 0 ? null : near(),
    voidedAt,
    announcedAt: below(3) === 0 ? near() : null,
    createdAt: near(),
  };
}

const NAMED = { grantIds: [], holdIds: [], holdKeys: [], transactionIds: [] };

/**
 * What must be read: what can be used in order until it covers what is taken, whenever in the batch
 * that is, what ends by then, and what is to be announced. What holds keep is left alone.
 */
function expected(grants: readonly Grant[], { taken, at, until, announceUntil }: Reach): Uuid[] {
  const open = grants.filter(({ remaining }) => remaining > 0n).sort(compareUse);
  const endsBy = ({ expiresAt }: Grant, instant: number) => (expiresAt ?? Infinity) <= instant;
  let covered = 0n;
  const read = open.filter((grant) => {
    const near = grant.announcedAt === null && !endsBy(grant, at);
    if (near && announceUntil !== null && endsBy(grant, announceUntil)) return true;
    if (freeOf(grant) === 0n) return false;
    return endsBy(grant, until);
  });
  for (const grant of open) {
    if (freeOf(grant) === 0n || grant.effectiveAt > until || endsBy(grant, at)) continue;
    if (covered >= taken) break;
    read.push(grant);
    if (grant.effectiveAt <= at && !endsBy(grant, until)) covered += freeOf(grant);
  }
  return [...new Set(read.map(({ id }) => id))].sort();
}

/** What comes into effect after an instant, each for itself by then, and together afterwards. */
function beginnings(grants: readonly Grant[], after: number, until: number): Map<number, bigint> {
  const begins = new Map<number, bigint>();
  for (const grant of grants) {
    if (grant.effectiveAt <= after || freeOf(grant) === 0n) continue;
    const at = grant.effectiveAt > until ? Infinity : grant.effectiveAt;
    begins.set(at, (begins.get(at) ?? 0n) + freeOf(grant));
  }
  return begins;
}

const asMap = (pending: readonly Beginning[] = []) =>
  new Map(pending.map(({ at, amount }) => [at, amount]));

onEngines((engine) => {
  describe('reading grants', () => {
    let database: TestDatabase;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
    });
    afterAll(() => database.drop());

    const below = generator(seedOf(`reach on ${engine.name}`));
    const accounts = Array.from({ length: ACCOUNTS }, () => newId());
    const grants = accounts.flatMap((id) =>
      Array.from({ length: below(GRANTS_MAX) }, () => randomGrant(id, below)),
    );
    const ownOf = (accountId: Uuid) => grants.filter((grant) => grant.accountId === accountId);

    test('goes as far as is taken, in the order of use', async () => {
      const { reader } = database.engine;
      const insert = GRANTS.insert(STORE, grants);
      await reader.query(insert.text, insert.values);
      for (let round = 0; round < 5; round++) {
        const reaches = accounts.map((accountId): Reach => {
          const at = NOW + (below(3) - 1) * 1000;
          const taken = BigInt(below(6) === 0 ? 1_000 : below(8));
          const announceUntil = below(3) === 0 ? at + below(3) * 1000 : null;
          return { accountId, taken, at, until: at + below(2) * 1000, announceUntil };
        });
        const { text, values } = findGrants(STORE, reaches, NAMED, { walked: 64, due: 1_000 });
        const found = toGrants(await reader.query(text, values));
        for (const reach of reaches) {
          const read = [...found.grants.values()].filter(
            (one) => one.accountId === reach.accountId,
          );
          const own = ownOf(reach.accountId);
          expect(read.map(({ id }) => id).sort()).toEqual(expected(own, reach));
          for (const grant of read) expect(grants).toContainEqual(grant);
        }
      }
    });

    test('says what comes into effect, and when', async () => {
      for (const [after, until] of [
        [-9, -1],
        [-1, 1],
        [0, 0],
      ] as const) {
        const reaches = accounts.map((accountId) => {
          return { accountId, after: NOW + after * 1000, until: NOW + until * 1000 };
        });
        const { text, values } = findPending(STORE, reaches);
        const pending = toPending(await database.engine.reader.query(text, values));
        for (const reach of reaches) {
          const own = ownOf(reach.accountId);
          const begins = beginnings(own, reach.after, reach.until);
          expect(asMap(pending.get(reach.accountId))).toEqual(begins);
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
      store = await createStore(database.engine);
    });
    afterAll(async () => {
      await expectSound(database.engine.reader);
      await database.drop();
    });

    const fields = () => ({ reference: 'r', key: newId() });

    /** An account with a pool, which is used before its grants, and grants in their order. */
    async function open(pool: bigint, grants: readonly bigint[]): Promise<Uuid> {
      const opening = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: pool };
      const opened = await ledger.execute(store, openCommand(opening));
      if (opened.kind !== 'account') throw new Error(opened.kind);
      const accountId = opened.account.id;
      for (const [index, amount] of grants.entries()) {
        const terms = { priority: 60 + index };
        await ledger.execute(store, creditCommand({ accountId, amount, terms, ...fields() }));
      }
      return accountId;
    }

    /** What a debit drew from grants, in order; the rest came from the pool. */
    async function drawn(accountId: Uuid, amount: bigint): Promise<bigint[]> {
      const outcome = await ledger.execute(store, debitCommand({ accountId, amount, ...fields() }));
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
      const outcome = await ledger.execute(store, postCommand({ postings, ...fields() }));
      expect(outcome).toMatchObject({ kind: 'transaction' });
    });

    test('is read however far a debit goes, and refused for what is there', async () => {
      const ones = Array.from({ length: 101 }, () => 1n);
      const accountId = await open(0n, ones.slice(0, 40));
      for (const amount of ones.slice(40)) {
        await ledger.execute(
          store,
          creditCommand({ accountId, amount, terms: { priority: 100 }, ...fields() }),
        );
      }
      expect(await drawn(accountId, 90n)).toHaveLength(90);
      const more = await ledger.execute(
        store,
        debitCommand({ accountId, amount: 1_000n, ...fields() }),
      );
      expect(JSON.stringify(more)).toContain('1000 needed, 11 available');
      const one = await ledger.execute(
        store,
        debitCommand({ accountId, amount: 12n, ...fields() }),
      );
      expect(JSON.stringify(one)).toContain('12 needed, 11 available');
    });

    test('is read for what a batch voids before it debits', async () => {
      const accountId = await open(0n, [5n, 5n, 5n]);
      const { items } = await ledger.funds.grants(store, accountId, undefined, PAGE);
      const first = items.find(({ priority }) => priority === 60)!;
      const outcomes = await ledger.executeAll(
        store,
        [voidCommand(first.id), debitCommand({ accountId, amount: 7n, ...fields() })],
        false,
      );
      const used = outcomes.flatMap((one) => {
        return one.kind === 'transaction' ? one.transaction.drawdowns : [];
      });
      expect(used.map((drawdown) => drawdown.amount)).toEqual([5n, 2n]);
    });

    test('is reached by the debits of one batch together', async () => {
      const accountId = await open(0n, [5n, 5n, 5n, 5n]);
      const debits = Array.from({ length: 6 }, () => drawn(accountId, 3n));
      expect((await Promise.all(debits)).flat().reduce((sum, part) => sum + part)).toBe(18n);
    });
  });
});
