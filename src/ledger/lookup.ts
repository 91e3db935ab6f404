import { type Refusal, RefusalError, refuse } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Page } from '../store/read.js';

/** What reads throw where what was asked for is not there. */

export const NO_ACCOUNT = refuse(
  'account_not_found',
  'There is no such account in this store. Check the account id.',
);

export const NO_HOLD = refuse(
  'hold_not_found',
  "There is no such hold in this store. Check the hold's id.",
);

export const NO_TRANSACTION = refuse(
  'transaction_not_found',
  "There is no such transaction in this store. Check the transaction's id.",
);

export function invalidCursor(param: string): Refusal {
  return refuse(
    'invalid_cursor',
    `${param} is not an item of this list. Pass the id of an item that a page of it returned.`,
    param,
  );
}

/** @throws {RefusalError} where a cursor is none of the list's items. */
export async function checkCursors(page: Page<Uuid>, isItem: (id: Uuid) => Promise<boolean>) {
  if (page.after !== undefined && !(await isItem(page.after))) {
    throw new RefusalError(invalidCursor('starting_after'));
  }
  if (page.before !== undefined && !(await isItem(page.before))) {
    throw new RefusalError(invalidCursor('ending_before'));
  }
}

export function found<T>(value: T | undefined, refusal: Refusal): T {
  if (value === undefined) throw new RefusalError(refusal);
  return value;
}
