/** The most decimal digits an amount or a balance may have (contract Q2; `numeric(38,0)`). */
export const AMOUNT_DIGITS_MAX = 38;

/** The largest amount or balance: 38 nines, in the account's unit. */
export const AMOUNT_MAX = 10n ** BigInt(AMOUNT_DIGITS_MAX) - 1n;

/** The one grammar of amounts: the wire's schemas check with it, and `parseAmount` reads by it. */
export const AMOUNT_PATTERN = /^[1-9][0-9]{0,37}$/;

/**
 * Reads an amount from the wire: a positive integer in the account's unit, as decimal text with
 * no sign, leading zero, exponent or white space (contract Q2).
 *
 * @returns the amount, or undefined where the text is not one.
 */
export function parseAmount(text: string): bigint | undefined {
  return AMOUNT_PATTERN.test(text) ? BigInt(text) : undefined;
}
