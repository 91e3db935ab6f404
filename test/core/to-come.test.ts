import { expect, test } from 'vitest';
import { pendingAfter } from '../../src/core/funds/to-come.js';

/** What was still to come after each line, in the order of places where instants are the same. */

const line = (seq: number, createdAt: number) => ({ seq, createdAt });

test('nothing is to come where nothing was', () => {
  expect(pendingAfter([line(1, 10), line(2, 20)], [])).toEqual([0n, 0n]);
  expect(pendingAfter([], [{ seq: 1, amount: 5n, effectiveAt: 30 }])).toEqual([]);
});

test('from its own line on, until the instant at which it begins', () => {
  const lines = [line(1, 10), line(2, 10), line(3, 29), line(4, 30)];
  expect(pendingAfter(lines, [{ seq: 2, amount: 5n, effectiveAt: 30 }])).toEqual([0n, 5n, 5n, 0n]);
});

test('what is taken back goes at its line, and not at its instant', () => {
  const lines = [line(1, 10), line(2, 10), line(3, 10), line(4, 10)];
  const toCome = [
    { seq: 2, amount: 5n, effectiveAt: 30 },
    { seq: 4, amount: -5n, effectiveAt: 30 },
  ];
  expect(pendingAfter(lines, toCome)).toEqual([0n, 5n, 5n, 0n]);
});

test('what is used after it began was to come all the same, and then was not', () => {
  const lines = [line(1, 10), line(2, 30), line(3, 40)];
  const toCome = [
    { seq: 1, amount: 5n, effectiveAt: 30 },
    { seq: 3, amount: -2n, effectiveAt: 30 },
  ];
  expect(pendingAfter(lines, toCome)).toEqual([5n, 0n, 0n]);
});

test('lines that were left out change nothing', () => {
  const toCome = [
    { seq: 3, amount: 5n, effectiveAt: 30 },
    { seq: 5, amount: -5n, effectiveAt: 30 },
    { seq: 8, amount: 4n, effectiveAt: 99 },
  ];
  const lines = [line(2, 10), line(4, 10), line(6, 10), line(9, 50)];
  expect(pendingAfter(lines, toCome)).toEqual([0n, 5n, 0n, 4n]);
});
