import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareUse } from '../../src/core/funds/funds.js';
import { positionOf } from '../../src/core/funds/position.js';
import type { Grant, Hold } from '../../src/core/model.js';
import { A, ids } from './world.js';
import { funds, grant, hold, Life } from './world-funds.js';

/** A read that settles nothing says what there is once all is settled. */

const NOW = 1_000;
const settle = { kind: 'settle', accountId: A, aheadMs: 0 } as const;

describe('positionOf', () => {
  const instant = fc.integer({ min: 0, max: 12 }).map((n) => NOW + n * 10);
  const grants = fc.array(
    fc.record({
      amount: fc.bigInt({ min: 0n, max: 9n }),
      priority: fc.constantFrom(0, 50, 100),
      effectiveAt: instant,
      expiresAt: fc.option(instant),
      voidedAt: fc.option(instant),
    }),
    { maxLength: 5 },
  );
  const holds = fc.array(
    fc.record({ amount: fc.bigInt({ min: 1n, max: 9n }), expiresAt: instant }),
    {
      maxLength: 4,
    },
  );
  const seed = Number(process.env.TEST_SEED) || Math.floor(Math.random() * 2 ** 31);

  /** Lets holds keep what they can of the front of what is there, whatever its life. */
  function pinned(pool: bigint, lots: Grant[], wanted: { amount: bigint; expiresAt: number }[]) {
    const left = new Map(lots.map(({ id, remaining }) => [id, remaining]));
    const made: Hold[] = [];
    let rest = pool;
    for (const [index, { amount, expiresAt }] of wanted.entries()) {
      const lot = lots[index % Math.max(lots.length, 1)];
      const there = lot === undefined ? 0n : left.get(lot.id)!;
      const own = there < amount ? there : amount;
      const other = rest < amount - own ? rest : amount - own;
      if (own + other === 0n) continue;
      if (lot !== undefined) left.set(lot.id, there - own);
      rest -= other;
      const pins = [
        { grantId: lot?.id ?? null, amount: own },
        { grantId: null, amount: other },
      ].filter((part) => part.amount > 0n);
      const id = ids(300 + index);
      made.push(hold({ id, key: `hold ${index}`, amount: own + other, pins, expiresAt }));
    }
    return made;
  }

  test(`agrees with what is left once all is settled, at every instant (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9n }), grants, holds, (pool, some, wanted) => {
        const lots = some
          .map((fields, index) => grant({ id: ids(201 + index), ...fields }))
          .sort(compareUse);
        const state = funds(pool, lots, pinned(pool, lots, wanted));
        for (let at = NOW - 5; at <= NOW + 130; at += 5) {
          const settled = new Life(state);
          settled.at(at, settle);
          const { balance, held, openHolds } = settled.account;
          const position = positionOf(state, at);
          expect(positionOf(settled.funds, at)).toEqual(position);
          expect({ balance: position.balance + position.pending, held: position.held }).toEqual({
            balance,
            held,
          });
          expect(position.available).toBe(position.balance - position.held);
          const open = settled.funds.holds.filter(({ status }) => status === 'open');
          expect(openHolds).toBe(open.length);
        }
      }),
      { seed, numRuns: 300 },
    );
  });
});
