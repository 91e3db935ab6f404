import { describe, expect, test } from 'vitest';
import { AMOUNT_MAX, parseAmount } from '../../src/core/amount.js';

describe('parseAmount', () => {
  test.each([
    ['1', 1n],
    ['10', 10n],
    ['900719925474099312345', 900719925474099312345n],
    ['9'.repeat(38), AMOUNT_MAX],
  ])('reads %s', (text, amount) => {
    expect(parseAmount(text)).toBe(amount);
  });

  test.each([
    '0',
    '-1',
    '1.5',
    '1e3',
    'NaN',
    'Infinity',
    '',
    ' 1',
    '1 ',
    '00',
    '01',
    '+1',
    '0x1',
    '1_000',
    '1,000',
    '1n',
    '١',
    '１',
    '1\n',
    '\n1',
    '9'.repeat(39),
    `1${'0'.repeat(38)}`,
  ])('refuses %j', (text) => {
    expect(parseAmount(text)).toBeUndefined();
  });
});
