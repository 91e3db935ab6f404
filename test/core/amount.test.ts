import { describe, expect, test } from 'vitest';
import { AMOUNT_MAX, parseAmount } from '../../src/core/amount.js';
import { BAD_AMOUNT_TEXTS } from '../harness/bad-values.js';

describe('parseAmount', () => {
  test.each([
    ['1', 1n],
    ['10', 10n],
    ['900719925474099312345', 900719925474099312345n],
    ['9'.repeat(38), AMOUNT_MAX],
  ])('reads %s', (text, amount) => {
    expect(parseAmount(text)).toBe(amount);
  });

  test.each(BAD_AMOUNT_TEXTS)('refuses %j', (text) => {
    expect(parseAmount(text)).toBeUndefined();
  });
});
