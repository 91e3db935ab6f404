import { describe, expect, test } from 'vitest';
import { settled } from '../../src/core/funds/due.js';
import { sumOf } from '../../src/core/funds/funds.js';
import { usableParts } from '../../src/core/funds/position.js';
import type { Grant } from '../../src/core/model.js';
import { A, ids } from './world.js';
import { captureCommand, funds, grant, holdCommand, Life, textOf } from './world-funds.js';

/** The order of use as decisions follow it; the rows of the order are in a file of their own. */

const NOW = 1_000;
const g = (number: number, fields: Partial<Grant> = {}) =>
  grant({ id: ids(200 + number), ...fields });

describe('through decide', () => {
  const monthly = g(1, { amount: 10n, expiresAt: 5_000, category: 'promotional' });
  const bought = g(2, { amount: 10n });

  /** What the newest transaction drew. */
  const drawn = (life: Life) => textOf(life.transactions.at(-1)!.drawdowns);

  test('Orb posts an entry a block: one debit is one line with several drawdowns', () => {
    const life = new Life(funds(3n, [monthly, bought]));
    life.debit(NOW, 15n);
    expect(drawn(life)).toBe('g1:10 g2:2');
    expect(life.transactions.at(-1)!.entries).toHaveLength(2);
    expect(life.account).toMatchObject({ balance: 8n, openGrants: 1 });
  });

  test('Unkey has a refill that replaces: an expiry leaves pool and purchase alone', () => {
    const life = new Life(funds(3n, [monthly, bought]));
    life.debit(5_000, 1n);
    expect(life.history).toEqual([
      ['expire', -10n, 5_000],
      ['debit', -1n, 5_000],
    ]);
    expect(life.position(5_000)).toMatchObject({ balance: 12n, available: 12n });
  });

  test('Dodo has four ways of overage: here it is refused whole', () => {
    const life = new Life(funds(3n, [monthly, g(3, { effectiveAt: 9_000 })]));
    expect(life.debit(NOW, 14n)).toMatchObject({ refusal: { code: 'insufficient_balance' } });
    expect(life.transactions).toEqual([]);
  });

  test('OpenMeter corrects by the recorded order: a reversal never recomputes', () => {
    const life = new Life(funds(0n, [monthly, bought]));
    life.debit(NOW, 12n);
    const debit = life.transactions.at(-1)!;
    // Today this would be used first, and so would be refilled by a computation of today.
    life.credit(NOW, 4n, { priority: 0, expiresAt: 2_000 });
    life.reverse(NOW + 1, debit.id);
    expect(drawn(life)).toBe('g1:-10 g2:-2');
    expect(life.grant(monthly.id).remaining).toBe(10n);
    expect(life.grant(bought.id).remaining).toBe(10n);
  });

  test('Talon.One has return policies: what came from the pool goes back to the pool', () => {
    const life = new Life(funds(5n, [monthly]));
    life.debit(NOW, 13n);
    life.reverse(NOW + 1, life.transactions.at(-1)!.id);
    expect(drawn(life)).toBe('g1:-10');
    expect(textOf(usableParts(settled(life.funds, NOW + 1), NOW + 1))).toBe('g1:10 pool:5');
  });

  test('Bursar settles what it reserved: a capture draws what its hold kept', () => {
    const life = new Life(funds(0n, [bought]));
    life.at(NOW, holdCommand(4n));
    life.credit(NOW + 1, 9n, { priority: 0 });
    life.at(NOW + 2, captureCommand(4n));
    expect(drawn(life)).toBe('g2:4');
  });

  test('Schematic: what is above the hold comes in the order of use of now', () => {
    const life = new Life(funds(0n, [bought]));
    life.at(NOW, holdCommand(4n));
    life.credit(NOW + 1, 9n, { priority: 0 });
    life.at(NOW + 2, captureCommand(15n));
    const made = [...life.grants.get(A)!.keys()].find((id) => id !== bought.id)!;
    const { drawdowns } = life.transactions.at(-1)!;
    expect(new Map(drawdowns.map(({ grantId, amount }) => [grantId, amount]))).toEqual(
      new Map([
        [bought.id, 6n],
        [made, 9n],
      ]),
    );
  });

  test('Lago doubles by two amount fields: a credit with terms is in its grant only', () => {
    const life = new Life(funds(0n, []));
    life.credit(NOW, 7n, { expiresAt: 5_000 });
    expect(life.account.balance).toBe(7n);
    expect(usableParts(settled(life.funds, NOW), NOW)).toHaveLength(1);
    expect(sumOf(usableParts(settled(life.funds, NOW), NOW))).toBe(7n);
  });

  test('credits made in one batch are used in the order of use, not of the batch', () => {
    const life = new Life(funds(0n, []));
    life.credit(NOW, 5n, { expiresAt: 9_000 });
    life.credit(NOW, 5n, { expiresAt: 8_000 });
    life.debit(NOW, 6n);
    const used = life.transactions
      .at(-1)!
      .drawdowns.map(({ grantId, amount }) => [life.grant(grantId).expiresAt, amount]);
    expect(new Map(used as [number, bigint][])).toEqual(
      new Map([
        [8_000, 5n],
        [9_000, 1n],
      ]),
    );
  });
});
