import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatEntryId,
  formatId,
  ID_PREFIXES,
  type IdKind,
  parseEntryId,
  parseId,
  uuidV7,
} from '../../src/core/id.js';
import { newId } from '../../src/store/ids.js';

const KINDS = Object.keys(ID_PREFIXES) as IdKind[];
const ZERO = '00000000-0000-0000-0000-000000000000';
const LAST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const uuid = fc.uuid();

describe('ids', () => {
  test.each(KINDS)('%s: every UUID comes back', (kind) => {
    fc.assert(
      fc.property(uuid, (id) => {
        const text = formatId(kind, id);
        expect(text).toMatch(new RegExp(`^${ID_PREFIXES[kind]}[0-9A-Za-z]{22}$`));
        expect(parseId(kind, text)).toBe(id);
      }),
    );
  });

  test('the first and the last UUID come back', () => {
    for (const id of [ZERO, LAST]) expect(parseId('account', formatId('account', id))).toBe(id);
  });

  test('text sorts as the UUIDs do', () => {
    fc.assert(
      fc.property(uuid, uuid, (a, b) => {
        const [left, right] = [formatId('account', a), formatId('account', b)];
        expect(left < right).toBe(a < b);
      }),
    );
  });

  test('a value past 128 bits is no id', () => {
    const last = formatId('account', LAST).slice(4);
    const next = last.slice(0, -1) + String.fromCharCode(last.charCodeAt(21) + 1);
    expect(parseId('account', `cca_${next}`)).toBeUndefined();
    expect(parseId('account', `cca_${'z'.repeat(22)}`)).toBeUndefined();
  });

  test.each([
    '',
    'cca_',
    'cca',
    `cct_${'0'.repeat(22)}`,
    `cca_${'0'.repeat(21)}`,
    `cca_${'0'.repeat(23)}`,
    `CCA_${'0'.repeat(22)}`,
    `cca_${'0'.repeat(21)}-`,
    `cca_${'0'.repeat(21)}é`,
    `cca_${'0'.repeat(20)}😀`,
    ` cca_${'0'.repeat(21)}`,
    '__proto__',
  ])('%j is no account id', (text) => {
    expect(parseId('account', text)).toBeUndefined();
  });

  test('an entry id is its transaction and its line', () => {
    fc.assert(
      fc.property(uuid, fc.integer({ min: 0, max: 62 * 62 - 1 }), (transactionId, line) => {
        const text = formatEntryId(formatId('transaction', transactionId), line);
        expect(text).toMatch(/^cce_[0-9A-Za-z]{24}$/);
        expect(parseEntryId(text)).toEqual({ transactionId, line });
      }),
    );
  });

  test.each([
    '',
    'cce_',
    `cct_${'0'.repeat(24)}`,
    `cce_${'0'.repeat(23)}`,
    `cce_${'z'.repeat(24)}`,
    `cce_${'0'.repeat(23)}!`,
  ])('%j is no entry id', (text) => {
    expect(parseEntryId(text)).toBeUndefined();
  });

  test('a new id has the v7 layout and its time', () => {
    const now = Date.UTC(2026, 3, 14, 12);
    const id = uuidV7(now, new Uint8Array(10).fill(255));
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.slice(0, 13).replace('-', ''), 16)).toBe(now);
  });

  test('a later millisecond sorts later', () => {
    const random = new Uint8Array(10).fill(255);
    const earlier = formatId('transaction', uuidV7(0xffff, random));
    const later = formatId('transaction', uuidV7(0x10000, new Uint8Array(10)));
    expect(earlier < later).toBe(true);
  });

  test('new ids differ', () => {
    const ids = new Set(Array.from({ length: 5_000 }, newId));
    expect(ids.size).toBe(5_000);
    const pattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
    for (const id of ids) expect(id).toMatch(pattern);
  });
});
