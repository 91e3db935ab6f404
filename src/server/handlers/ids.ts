import { type Blamed, type Findable, notFound, RefusalError } from '../../core/errors.js';
import { type IdKind, parseId, type Uuid } from '../../core/id.js';
import { invalidCursor, type Page } from '../../ledger/index.js';

/** Reads ids and cursors; one that is not of the right kind is one of nothing (contract Q8). */

export function accountId(text: string | undefined, blamed?: Blamed): Uuid {
  return idOf('account', text, blamed);
}

export function transactionId(text: string | undefined, blamed?: Blamed): Uuid {
  return idOf('transaction', text, blamed);
}

export function holdId(text: string | undefined, blamed?: Blamed): Uuid {
  return idOf('hold', text, blamed);
}

export function grantId(text: string | undefined, blamed?: Blamed): Uuid {
  return idOf('grant', text, blamed);
}

export function webhookId(text: string | undefined): Uuid {
  return idOf('webhook', text);
}

function idOf(kind: Findable, text: string | undefined, blamed?: Blamed): Uuid {
  const id = text === undefined ? undefined : parseId(kind, text);
  if (id === undefined) throw new RefusalError(notFound(kind, blamed));
  return id;
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
  const cursor = (text: string | undefined, end: 'after' | 'before') => {
    if (text === undefined) return undefined;
    const parsed = parse(text);
    if (parsed === undefined) throw new RefusalError(invalidCursor(end));
    return parsed;
  };
  return {
    limit: query.limit,
    after: cursor(query.starting_after, 'after'),
    before: cursor(query.ending_before, 'before'),
  };
}
