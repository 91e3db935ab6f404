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
  grant: 'ccg_',
  hold: 'cch_',
  key: 'key_',
  webhook: 'wh_',
  event: 'evt_',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A UUID as 36 lower-case characters. */
export type Uuid = string;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BODY_LENGTH = 22;
// Two digits count 3,844 lines, more than a request can have.
const LINE_LENGTH = 2;
// Four base62 digits are handled at a time, for 62^4 times a 24-bit limb is still exact in a
// double. A bigint division for each digit would cost twenty times as much on the hot path.
const CHUNK = 62 ** 4;
const LIMBS = 6;
const PAIRS = Array.from(
  { length: 62 * 62 },
  (_, n) => DIGITS[Math.floor(n / 62)]! + DIGITS[n % 62]!,
);
const DIGIT_VALUES = valuesOf(DIGITS);
const HEX_VALUES = valuesOf('0123456789abcdef');
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The value of each digit by its character code; -1 for what is no digit. */
function valuesOf(digits: string): Int8Array {
  const values = new Int8Array(128).fill(-1);
  for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i;
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

const ZEROS = new Uint8Array(10);
const ONES = new Uint8Array(10).fill(255);

/** The id that sorts before all of an instant; one before 1970 has no id, and 1970 stands in. */
export function firstIdAt(instant: number): Uuid {
  return uuidV7(Math.max(instant, 0), ZEROS);
}

/** The id that sorts after all of an instant; one before 1970 has no id, and 1970 stands in. */
export function lastIdAt(instant: number): Uuid {
  return uuidV7(Math.max(instant, 0), ONES);
}

/** The instant that a UUID of the v7 layout begins with, in milliseconds since the Unix epoch. */
export function timeOf(uuid: Uuid): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
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

/**
 * An entry's id is its transaction's id and its line number, so it needs no column of its own.
 *
 * @param transactionId as `formatId` wrote it.
 */
export function formatEntryId(transactionId: string, line: number): string {
  return ID_PREFIXES.entry + transactionId.slice(ID_PREFIXES.transaction.length) + PAIRS[line]!;
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

function digitValue(text: string, index: number): number {
  const code = text.charCodeAt(index);
  return code < 128 ? DIGIT_VALUES[code]! : -1;
}

function encodeBody(uuid: Uuid): string {
  const limbs = toLimbs(uuid);
  let text = '';
  // Five chunks are twenty digits, and what is left over them fits two.
  for (let round = 0; round < 5; round++) {
    const chunk = divideByChunk(limbs);
    const high = Math.floor(chunk / 3844);
    text = PAIRS[high]! + PAIRS[chunk - high * 3844]! + text;
  }
  return PAIRS[limbs[LIMBS - 1]!]! + text;
}

/** The UUID as a number in limbs of 24 bits, the highest first. */
function toLimbs(uuid: Uuid): number[] {
  const limbs = [0, 0, 0, 0, 0, 0];
  // Six limbs have room for 36 hexadecimal digits, so the first of the 32 is the fifth.
  let place = LIMBS * 6 - 32;
  for (let i = 0; i < uuid.length; i++) {
    const value = HEX_VALUES[uuid.charCodeAt(i)]!;
    if (value < 0) continue;
    const limb = Math.floor(place / 6);
    limbs[limb] = limbs[limb]! * 16 + value;
    place++;
  }
  return limbs;
}

function divideByChunk(limbs: number[]): number {
  let remainder = 0;
  for (let i = 0; i < LIMBS; i++) {
    const value = remainder * 0x1000000 + limbs[i]!;
    const quotient = Math.floor(value / CHUNK);
    limbs[i] = quotient;
    remainder = value - quotient * CHUNK;
  }
  return remainder;
}

function decodeBody(text: string): Uuid | undefined {
  const limbs = [0, 0, 0, 0, 0, 0];
  // Two digits first, then five chunks of four: the reverse of how they are written.
  for (let end = 2; end <= BODY_LENGTH; end += 4) {
    let chunk = 0;
    for (let i = Math.max(0, end - 4); i < end; i++) {
      const digit = digitValue(text, i);
      if (digit < 0) return undefined;
      chunk = chunk * 62 + digit;
    }
    multiplyAdd(limbs, chunk);
  }
  // Six limbs have room for 144 bits, and a UUID has 128.
  if (limbs[0]! > 0xff) return undefined;
  const hex = HEX[limbs[0]!]! + limbs.slice(1).map(limbHex).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function multiplyAdd(limbs: number[], chunk: number): void {
  let carry = chunk;
  for (let i = LIMBS - 1; i >= 0; i--) {
    const value = limbs[i]! * CHUNK + carry;
    carry = Math.floor(value / 0x1000000);
    limbs[i] = value - carry * 0x1000000;
  }
}

function limbHex(limb: number): string {
  return HEX[limb >>> 16]! + HEX[(limb >>> 8) & 255]! + HEX[limb & 255]!;
}
