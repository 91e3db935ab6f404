import { describe, expect, test } from 'vitest';
import { settled } from '../../src/core/funds/due.js';
import { compareUse, sumOf, takeFrom } from '../../src/core/funds/funds.js';
import { usableParts } from '../../src/core/funds/position.js';
import { NOW, TABLES } from './order-of-use.js';
import { A, ids } from './world.js';
import { funds, Life, textOf } from './world-funds.js';

describe.each(Object.entries(TABLES))('%s', (_, rows) => {
  test.each(rows)('$title', ({ pool = 0n, grants, holds = [], at = NOW, take, expected }) => {
    for (const order of [grants, [...grants].reverse()]) {
      const life = new Life(funds(pool, order, holds));
      // What has ended is no part before it is booked either; only holds must have ended first.
      if (holds.length > 0) life.at(at, { kind: 'settle', accountId: A, aheadMs: 0 });
      const parts = usableParts(settled(life.funds, at), at);
      expect(textOf(takeFrom(parts, take ?? sumOf(parts)))).toBe(expected);
    }
  });
});

test('the order is total: it does not depend on where a grant stood', () => {
  const all = Object.values(TABLES).flatMap((rows) => rows.flatMap(({ grants }) => grants));
  const distinct = all.map((one, index) => ({ ...one, id: ids(500 + index) }));
  for (const one of distinct) {
    for (const other of distinct) {
      expect(Math.sign(compareUse(one, other))).toBe(-Math.sign(compareUse(other, one)) || 0);
      if (one !== other) expect(compareUse(one, other)).not.toBe(0);
    }
  }
});
