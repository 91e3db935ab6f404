/**
 * Public ids are a prefix and a fixed-width base62 form of a time-ordered UUID (v7 layout,
 * RFC 9562 section 5.7), so that they sort as text in the order in which they were made. Inside
 * the program and in the database an id is the UUID itself.
 */

export const ID_PREFIXES = {
  store: 'sto_',
  account: 'cca_',
  transaction: 'cct_',
  entry: 'cce_',
  key: 'key_',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A UUID as 36 lower-case characters. */
export type Uuid = string;

/** The most lines one transaction can have: what two base62 digits of an entry id can count. */
export const LINES_MAX = 62 * 62;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BODY_LENGTH = 22;
const LINE_LENGTH = 2;
// Five base62 digits are handled at a time, because 62^5 times a 16-bit limb is still exact in a
// double, and a bigint division for each digit would cost ten times as much on the hot path.
const CHUNK = 62 ** 5;
const CHUNK_LENGTH = 5;
const DIGIT_VALUES = digitValues();
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function digitValues(): Int8Array {
  const values = new Int8Array(128).fill(-1);
  for (let i = 0; i < DIGITS.length; i++) values[DIGITS.charCodeAt(i)] = i;
  return values;
}

/**
 * Makes a UUID in the v7 layout.
 *
 * @param now milliseconds since the Unix epoch.
 * @param random at least ten random bytes, read from `offset`.
 */
export function uuidV7(now: number, random: Uint8Array, offset = 0): Uuid {
  const high = Math.floor(now / 0x10000);
  const low = now % 0x10000;
  const byte = (i: number) => random[offset + i]!;
  return (
    HEX[(high >>> 24) & 255]! +
    HEX[(high >>> 16) & 255]! +
    HEX[(high >>> 8) & 255]! +
    HEX[high & 255]! +
    '-' +
    HEX[low >>> 8]! +
    HEX[low & 255]! +
    '-' +
    HEX[0x70 | (byte(0) & 15)]! +
    HEX[byte(1)]! +
    '-' +
    HEX[0x80 | (byte(2) & 63)]! +
    HEX[byte(3)]! +
    '-' +
    HEX[byte(4)]! +
    HEX[byte(5)]! +
    HEX[byte(6)]! +
    HEX[byte(7)]! +
    HEX[byte(8)]! +
    HEX[byte(9)]!
  );
}

/** Writes an id as the wire has it, such as `cct_` and 22 base62 digits. */
export function formatId(kind: IdKind, uuid: Uuid): string {
  return ID_PREFIXES[kind] + encodeBody(uuid);
}

/** Reads an id from the wire; undefined where it is not one of this kind. */
export function parseId(kind: IdKind, text: string): Uuid | undefined {
  const prefix = ID_PREFIXES[kind];
  if (text.length !== prefix.length + BODY_LENGTH || !text.startsWith(prefix)) return undefined;
  return decodeBody(text.slice(prefix.length));
}

/** An entry's id is its transaction's id and its line number: it needs no column of its own. */
export function formatEntryId(transactionId: Uuid, line: number): string {
  const digits = DIGITS[Math.floor(line / 62)]! + DIGITS[line % 62]!;
  return ID_PREFIXES.entry + encodeBody(transactionId) + digits;
}

/** Reads an entry id from the wire; undefined where it is not one. */
export function parseEntryId(text: string): { transactionId: Uuid; line: number } | undefined {
  const prefix = ID_PREFIXES.entry;
  if (text.length !== prefix.length + BODY_LENGTH + LINE_LENGTH) return undefined;
  if (!text.startsWith(prefix)) return undefined;
  const transactionId = decodeBody(text.slice(prefix.length, -LINE_LENGTH));
  const high = digitValue(text, text.length - 2);
  const low = digitValue(text, text.length - 1);
  if (transactionId === undefined || high < 0 || low < 0) return undefined;
  return { transactionId, line: high * 62 + low };
}

export function isUuid(text: string): boolean {
  return UUID_PATTERN.test(text);
}

function digitValue(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code < 128 ? DIGIT_VALUES[code]! : -1;
}

function encodeBody(uuid: Uuid): string {
  const hex = uuid.replaceAll('-', '');
  const limbs = new Array<number>(8);
  for (let i = 0; i < 8; i++) limbs[i] = Number.parseInt(hex.slice(i * 4, i * 4 + 4), 16);
  let text = '';
  for (let left = BODY_LENGTH; left > 0; left -= CHUNK_LENGTH) {
    let chunk = divideByChunk(limbs);
    for (let i = Math.min(left, CHUNK_LENGTH); i > 0; i--) {
      text = DIGITS[chunk % 62]! + text;
      chunk = Math.floor(chunk / 62);
    }
  }
  return text;
}

function divideByChunk(limbs: number[]): number {
  let remainder = 0;
  for (let i = 0; i < 8; i++) {
    const value = remainder * 0x10000 + limbs[i]!;
    const quotient = Math.floor(value / CHUNK);
    limbs[i] = quotient;
    remainder = value - quotient * CHUNK;
  }
  return remainder;
}

function decodeBody(text: string): Uuid | undefined {
  const limbs = new Array<number>(8).fill(0);
  for (let i = 0; i < text.length; i++) {
    const digit = digitValue(text, i);
    if (digit < 0 || !multiplyAdd(limbs, digit)) return undefined;
  }
  const hex = limbs.map((limb) => limb.toString(16).padStart(4, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Multiplies by 62 and adds a digit; false where the value no longer fits 128 bits. */
function multiplyAdd(limbs: number[], digit: number): boolean {
  let carry = digit;
  for (let i = 7; i >= 0; i--) {
    const value = limbs[i]! * 62 + carry;
    limbs[i] = value & 0xffff;
    carry = value >>> 16;
  }
  return carry === 0;
}
