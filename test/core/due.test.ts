import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Agenda } from '../../src/core/funds/agenda.js';
import { Due, grantStatus, holdAt, settled } from '../../src/core/funds/due.js';
import { positionOf } from '../../src/core/funds/position.js';
import { seedOf } from '../harness/seed.js';
import { ids } from './world.js';
import { funds, grant, hold } from './world-funds.js';

/** What falls due, the earliest first, whenever it became known. */

const seed = seedOf('agenda');
const G1 = ids(201);
const G2 = ids(202);

test('an agenda gives the earliest of what is in it', () => {
  const item = fc.record({ at: fc.nat(9), rank: fc.nat(2) });
  const before = (a: { at: number; rank: number }, b: { at: number; rank: number }) =>
    a.at - b.at || a.rank - b.rank;
  fc.assert(
    fc.property(fc.array(item), fc.array(fc.option(item, { freq: 3 })), (known, steps) => {
      const agenda = new Agenda(known.slice());
      let left = known;
      for (const step of [...steps, null, null]) {
        if (step !== null) {
          agenda.add(step);
          left.push(step);
          continue;
        }
        const [first] = left.sort(before);
        const taken = first === undefined ? [] : left.filter((one) => before(one, first) === 0);
        left = left.filter((one) => !taken.includes(one));
        expect(agenda.takeFirst()).toEqual(taken);
        expect(agenda.first).toEqual(left[0]);
      }
    }),
    { seed },
  );
});

test('what a step makes due is settled before what was due later', () => {
  const pins = [{ grantId: G1, amount: 10n }];
  const given = funds(
    5n,
    [grant({ id: G1, expiresAt: 1_000 }), grant({ id: G2, expiresAt: 1_300 })],
    [hold({ amount: 10n, pins, expiresAt: 1_200 })],
  );
  const due = new Due(given, 1_300);
  const steps = [due.next(), due.next(), due.next()];
  expect(steps).toMatchObject([
    { kind: 'hold', at: 1_200 },
    { kind: 'expire', at: 1_200, parts: [{ grantId: G1, amount: 10n }] },
    { kind: 'expire', at: 1_300, parts: [{ grantId: G2, amount: 10n }] },
  ]);
  expect(due.next()).toBeUndefined();
  const { account } = due.funds;
  expect(account).toMatchObject({ balance: 5n, held: 0n, openGrants: 0, openHolds: 0 });
  expect(account.freeInGrants).toBe(0n);
});

test('what is held and of the same instant is let go before it is forfeited', () => {
  const pins = [{ grantId: G1, amount: 4n }];
  const given = funds(
    0n,
    [grant({ id: G1, expiresAt: 1_000 })],
    [hold({ amount: 4n, pins, expiresAt: 1_000 })],
  );
  const due = new Due(given, 1_000);
  // So it is one transaction of the history, and not two.
  expect([due.next(), due.next(), due.next()]).toMatchObject([
    { kind: 'hold', at: 1_000 },
    { kind: 'expire', at: 1_000, parts: [{ grantId: G1, amount: 10n }] },
    undefined,
  ]);
  const { grants, holds } = settled(given, 1_000);
  expect(grants).toMatchObject([{ remaining: 0n, held: 0n }]);
  expect(holds).toMatchObject([{ status: 'expired', remaining: 0n, pins: [], updatedAt: 1_000 }]);
  expect(settled(given, 999)).toBe(given);
});

test('funds of which some grants were not read are settled as far as they were', () => {
  const pins = [
    { grantId: G1, amount: 4n },
    { grantId: null, amount: 1n },
  ];
  const all = funds(1n, [grant({ id: G1 })], [hold({ amount: 5n, pins, expiresAt: 1_000 })]);
  const some = { ...all, grants: [] };
  expect(settled(some, 1_000).account).toEqual(settled(all, 1_000).account);
});

test('each thing is looked at a few times, however many fall due', () => {
  const COUNT = 2_000;
  let looks = 0;
  const grants = Array.from({ length: COUNT }, (_, n) => {
    const one = grant({ id: ids(10_000 + n), expiresAt: 1_000 + n });
    return Object.defineProperty(one, 'expiresAt', {
      enumerable: true,
      get: () => {
        looks++;
        return 1_000 + n;
      },
    });
  });
  const { account } = funds(7n, []);
  const given = { account: { ...account, balance: 7n + 10n * BigInt(COUNT) }, grants, holds: [] };
  looks = 0;
  expect(positionOf(given, 1_000 + COUNT).balance).toBe(7n);
  expect(looks).toBeLessThan(10 * COUNT);
});

test.each([
  [{ expiresAt: 1_000 }, 999, 'active'],
  [{ expiresAt: 1_000 }, 1_000, 'expired'],
  [{ expiresAt: 1_000, remaining: 0n }, 1_000, 'expired'],
  [{ remaining: 0n }, 1_000, 'depleted'],
  [{ remaining: 0n, effectiveAt: 2_000 }, 1_000, 'depleted'],
  [{ effectiveAt: 1_000 }, 999, 'pending'],
  [{ effectiveAt: 1_000 }, 1_000, 'active'],
  [{ voidedAt: 900, expiresAt: 950 }, 1_000, 'voided'],
] as const)('a grant of %o at %d is %3$s', (fields, at, expected) => {
  expect(grantStatus(grant(fields), at)).toBe(expected);
});

test.each([
  ['open', 999, 'open'],
  ['open', 1_000, 'expired'],
  ['captured', 1_000, 'captured'],
  ['released', 1_000, 'released'],
] as const)('a hold that is %s and ends at 1000 is at %d %s', (status, at, expected) => {
  const given = hold({ status, expiresAt: 1_000 });
  expect(holdAt(given, at).status).toBe(expected);
});
