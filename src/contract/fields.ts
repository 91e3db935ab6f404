import { z } from 'zod';
import { AMOUNT_PATTERN } from '../core/amount.js';

/** The fields that requests are made of, with their limits (contract Q2, Q16). */

export const TEXT_MAX = 255;
export const NAME_MAX = 100;
export const UNIT_LABEL_MAX = 100;
export const PAGE_MAX = 100;
export const PAGE_DEFAULT = 10;
/** Listing by reference has no paging in Creem's contract, so one page holds much (Q20). */
export const REFERENCE_PAGE_MAX = 1_000;

// PostgreSQL cannot store NUL, a lone surrogate has no UTF-8 form, and PGlite drops a byte order
// mark that text begins with, so that a key would no longer be found.
const UNSTORABLE = /\0|\p{Surrogate}|^\ufeff/u;
export const UNSTORED = 'must not contain NUL or a lone surrogate, or begin with U+FEFF';

export function isStorable(value: string): boolean {
  return !UNSTORABLE.test(value);
}

/** Text that can be stored and given back unchanged. */
export function text(max: number) {
  return z
    .string()
    .min(1, 'must not be empty')
    .max(max, `must have at most ${max} characters`)
    .refine(isStorable, UNSTORED);
}

export const amount = z
  .string('must be a string of digits such as "100", not a number')
  .regex(AMOUNT_PATTERN, 'must be a positive whole number of at most 38 digits, such as "100"')
  .meta({ description: "A positive integer in the account's unit.", examples: ['100'] });

export const initialBalance = z
  .string('must be a string of digits such as "100", not a number')
  .regex(/^(0|[1-9][0-9]{0,37})$/, 'must be "0" or a positive whole number of at most 38 digits')
  .meta({ description: 'Seeds the account; "0" seeds nothing.', examples: ['50'] });

export const name = z
  .string()
  .refine((value) => value.trim() !== '', 'must not be blank')
  .refine((value) => value.trim().length <= NAME_MAX, `must have at most ${NAME_MAX} characters`)
  .refine(isStorable, UNSTORED)
  .meta({ minLength: 1, description: `At most ${NAME_MAX} characters, trimmed.` });

export const customerId = z
  .string()
  .refine(isStorable, UNSTORED)
  .trim()
  .min(1, 'must not be blank')
  .max(TEXT_MAX, `must have at most ${TEXT_MAX} characters`)
  .meta({
    description: 'Whose account it is: your own id of the customer, trimmed.',
    examples: ['cust_abc123'],
  });

export const reference = text(TEXT_MAX).meta({
  description: 'What the movement is for, such as your order id.',
  examples: ['order_789'],
});

export const idempotencyKey = text(TEXT_MAX).meta({
  description: 'Unique in the store for ever; the same request with it is carried out once.',
  examples: ['loyalty_earn_order_789'],
});

/** A whole number in a query, refused and never clamped where it is out of range (Q18). */
export function limit(max: number, standard: number) {
  return z
    .string()
    .regex(/^[1-9][0-9]{0,3}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((value) => value <= max, `must be a whole number from 1 to ${max}`)
    .default(standard)
    .meta({ integer: { minimum: 1, maximum: max, default: standard } });
}

// An unencoded + arrives as a space, so it is taken for one before an offset.
const INSTANT = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+ -]\d\d:\d\d))?$/;

// ISO 8601 has a year 0 and an offset can lead past year 9999; PostgreSQL reads neither.
const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z');
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Reads an ISO 8601 date-time with an offset, or a date as its UTC midnight (contract Q10).
 *
 * @returns milliseconds since the Unix epoch, or undefined where the text is neither.
 */
export function parseInstant(value: string): number | undefined {
  const match = INSTANT.exec(value);
  if (match === null) return undefined;
  const day = Date.parse(match[1]!);
  // Some engines read 30 February as 2 March.
  if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(match[1]!)) return undefined;
  const instant = Date.parse(value.replace(' ', '+'));
  return instant >= FIRST_INSTANT && instant <= LAST_INSTANT ? instant : undefined;
}

/** An instant of a query; a date alone is its UTC midnight. */
export const instant = z
  .string()
  .refine(
    (value) => parseInstant(value) !== undefined,
    'must be an ISO 8601 time with an offset, such as 2026-04-01T00:00:00Z, or a date',
  )
  .meta({ format: 'date-time', examples: ['2026-04-01T00:00:00Z'] });

/**
 * An instant of a body. What is written down must mean what its writer meant: a date alone does
 * not say whether its day still counts.
 */
export const exactInstant = z
  .string()
  .refine(
    (value) => value.includes('T') && parseInstant(value) !== undefined,
    'must be an ISO 8601 time with an offset, such as 2026-04-01T00:00:00Z; a date alone does not say when',
  )
  .meta({ format: 'date-time', examples: ['2026-04-01T00:00:00Z'] });

const METADATA_PAIRS_MAX = 50;
const METADATA_KEY_MAX = 40;
const METADATA_VALUE_MAX = 500;

const pairs = z
  .record(text(METADATA_KEY_MAX), z.string().max(METADATA_VALUE_MAX).refine(isStorable, UNSTORED))
  .refine(
    (value) => Object.keys(value).length <= METADATA_PAIRS_MAX,
    `must have at most ${METADATA_PAIRS_MAX} pairs`,
  )
  .meta({ description: `At most ${METADATA_PAIRS_MAX} pairs of text.` });

/** Notes of the caller's own: text under names of its own. */
export const metadata = z.preprocess((value, context) => {
  // A record leaves this name out unseen, and what is sent is either kept or refused.
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
    const message = 'is a name that cannot be kept; choose another';
    context.addIssue({ code: 'custom', path: ['__proto__'], message });
  }
  return value;
}, pairs);

export const priority = z
  .int()
  .min(0, 'must be a whole number from 0 to 100')
  .max(100, 'must be a whole number from 0 to 100')
  .meta({ description: 'The lower is used first; 50 where left out.' });

export const category = z.enum(['paid', 'promotional']);

export const HOLD_SECONDS_DEFAULT = 300;
export const HOLD_SECONDS_MAX = 86_400;

export const expiresIn = z
  .int()
  .min(1, `must be a whole number of seconds from 1 to ${HOLD_SECONDS_MAX}`)
  .max(HOLD_SECONDS_MAX, `must be a whole number of seconds from 1 to ${HOLD_SECONDS_MAX}`)
  .meta({ description: 'Seconds from now.' });
