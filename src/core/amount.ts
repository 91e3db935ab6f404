/** The most decimal digits an amount or a balance may have (contract Q2; `numeric(38,0)`). */
export const AMOUNT_DIGITS_MAX = 38;

/** The largest amount or balance: 38 nines, in the account's unit. */
export const AMOUNT_MAX = 10n ** BigInt(AMOUNT_DIGITS_MAX) - 1n;

/**
 * What an amount is on the wire: a positive integer in the account's unit, as decimal text with no
 * sign, leading zero, exponent or white space (contract Q2).
 */
export const AMOUNT_PATTERN = /^[1-9][0-9]{0,37}$/;
