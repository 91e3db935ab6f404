import { describe, expect, test } from 'vitest';
import { AMOUNT_MAX, AMOUNT_PATTERN } from '../../src/core/amount.js';
import { BAD_AMOUNT_TEXTS } from '../harness/bad-values.js';

describe('an amount', () => {
  test.each(['1', '10', '900719925474099312345', String(AMOUNT_MAX)])('is %s', (text) => {
    expect(text).toMatch(AMOUNT_PATTERN);
  });

  test('has 38 digits at most', () => {
    expect(String(AMOUNT_MAX)).toBe('9'.repeat(38));
    expect(String(AMOUNT_MAX + 1n)).not.toMatch(AMOUNT_PATTERN);
  });

  test.each(BAD_AMOUNT_TEXTS)('is not %j', (text) => {
    expect(text).not.toMatch(AMOUNT_PATTERN);
  });
});
