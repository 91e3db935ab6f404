import { type ErrorCode, RefusalError, refuse } from '../core/errors.js';
import { type IdKind, parseId, type Uuid } from '../core/id.js';
import { invalidCursor, type Page } from '../ledger/index.js';

/** Reads ids and cursors; one that is not of the right kind is one of nothing (contract Q8). */

export function accountId(text: string | undefined, param?: string): Uuid {
  return idOf('account', 'account_not_found', text, param);
}

export function transactionId(text: string | undefined, param?: string): Uuid {
  return idOf('transaction', 'transaction_not_found', text, param);
}

export function holdId(text: string | undefined, param?: string): Uuid {
  return idOf('hold', 'hold_not_found', text, param);
}

export function grantId(text: string | undefined, param?: string): Uuid {
  return idOf('grant', 'grant_not_found', text, param);
}

function idOf(kind: IdKind, code: ErrorCode, text: string | undefined, param?: string): Uuid {
  const id = text === undefined ? undefined : parseId(kind, text);
  if (id !== undefined) return id;
  const message = `There is no such ${kind} in this store. Check the ${kind}'s id.`;
  throw new RefusalError(refuse(code, message, param));
}

/** A cursor that is the id of one kind of object. */
export function cursorOf(kind: IdKind): (text: string) => Uuid | undefined {
  return (text) => parseId(kind, text);
}

export function pageOf<Cursor>(
  query: {
    limit: number;
    starting_after?: string | undefined;
    ending_before?: string | undefined;
  },
  parse: (text: string) => Cursor | undefined,
): Page<Cursor> {
  const cursor = (param: 'starting_after' | 'ending_before') => {
    const text = query[param];
    if (text === undefined) return undefined;
    const parsed = parse(text);
    if (parsed === undefined) throw new RefusalError(invalidCursor(param));
    return parsed;
  };
  return {
    limit: query.limit,
    after: cursor('starting_after'),
    before: cursor('ending_before'),
  };
}
