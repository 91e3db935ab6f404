import { notFound, type Refusal, RefusalError, refuse } from './errors.js';
import type { Uuid } from './id.js';

/** What reads throw where what was asked for is not there. */

export const NO_ACCOUNT = notFound('account');
export const NO_HOLD = notFound('hold');
export const NO_TRANSACTION = notFound('transaction');

/** @param cursor the one that is to blame: the page is to come after it, or before it. */
export function invalidCursor(cursor: 'after' | 'before'): Refusal {
  const message =
    'The cursor is not an item of this list. Pass the id of an item that a page of it returned.';
  return refuse('invalid_cursor', message, cursor);
}

/** @throws {RefusalError} where a cursor is none of the list's items. */
export async function checkCursors(
  page: { readonly after: Uuid | undefined; readonly before: Uuid | undefined },
  isItem: (id: Uuid) => Promise<boolean>,
): Promise<void> {
  if (page.after !== undefined && !(await isItem(page.after))) {
    throw new RefusalError(invalidCursor('after'));
  }
  if (page.before !== undefined && !(await isItem(page.before))) {
    throw new RefusalError(invalidCursor('before'));
  }
}

export function found<T>(value: T | undefined, refusal: Refusal): T {
  if (value === undefined) throw new RefusalError(refusal);
  return value;
}
