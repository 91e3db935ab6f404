import { describe, expect, test } from 'vitest';
import { canonicalForm, isReservedKey, keyOf } from '../../src/core/command.js';
import { remarksOf } from '../../src/core/model.js';
import { fingerprint } from '../../src/ledger/fingerprint.js';
import { A, B, move, post } from './world.js';

describe('the fingerprint of a request', () => {
  const base = move('credit', 10n);
  const same = canonicalForm(base);

  test.each([
    ['another operation', { ...base, kind: 'debit' as const }],
    ['another account', { ...base, accountId: B }],
    ['another amount', { ...base, amount: 11n }],
    ['another reference', { ...base, remarks: remarksOf({ reference: 'order_2' }) }],
  ])('differs for %s', (_, other) => {
    expect(canonicalForm(other)).not.toBe(same);
    expect(fingerprint(canonicalForm(other))).not.toBe(fingerprint(same));
  });

  test('is blind to the key and to the ids made for it', () => {
    expect(canonicalForm({ ...base, key: 'other', transactionId: B } as typeof base)).toBe(same);
  });

  test('counts the order of the lines', () => {
    const there = canonicalForm(post([A, 1n], [B, -1n]));
    const back = canonicalForm(post([B, -1n], [A, 1n]));
    expect(there).not.toBe(back);
  });

  test('cannot be confused by quotes in a reference', () => {
    const sly = { ...base, amount: 1n, remarks: remarksOf({ reference: '","10' }) };
    const plain = { ...base, remarks: remarksOf({ reference: '' }) };
    expect(canonicalForm(sly)).not.toBe(canonicalForm(plain));
  });
});

describe('keys', () => {
  test.each(['reversal:cct_', 'reversal:cct_abc', 'initial_balance:cca_1'])('%s is ours', (key) => {
    expect(isReservedKey(key)).toBe(true);
  });

  test.each(['reversal', 'reversal:', 'reversal:order_1', 'initial_balance', 'x reversal:cct_'])(
    '%s is the caller’s',
    (key) => {
      expect(isReservedKey(key)).toBe(false);
    },
  );

  test('a change of status has none', () => {
    expect(keyOf({ kind: 'freeze', accountId: A })).toBeUndefined();
    expect(keyOf(move('debit', 1n))).toBe('key_1');
  });
});
