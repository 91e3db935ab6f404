import { book, draftOf } from '../decide/book.js';
import { formatId, type Uuid } from '../id.js';
import type { Posting } from '../model.js';
import { type Changes, instantOf, type State } from '../state.js';
import { Due, type Forfeit } from './due.js';
import { sumOf } from './funds.js';
import { endHolds } from './kept.js';

type SettleState = Omit<State, 'keys' | 'holdKeys' | 'names' | 'originals'>;

/**
 * Books what has fallen due on an account: holds that end, and grants that expire or were voided,
 * of which all that no hold keeps goes to breakage. It yields what changes, one thing after the
 * other, the earliest first; what is yielded is to be applied before the next.
 *
 * It runs before any command sees the account, so that nothing expired is ever used, and after
 * it, so that what a command sets free of an expired grant expires at once. Each expiry bears the
 * instant at which it was due, so history is the same whenever it is written down.
 *
 * @param freed whether a command has just set free what is due: that has ended at the command's
 * instant, and not when its grant did, for until then a hold could use it.
 */
export function* settle(
  state: SettleState,
  accountId: Uuid,
  freed = false,
): Generator<Changes, void> {
  const account = state.accounts.get(accountId)!;
  const now = instantOf(state, account);
  const grants = [...(state.grants.get(accountId)?.values() ?? [])];
  const holds = [...(state.holds.get(accountId)?.values() ?? [])];
  const due = new Due({ account, grants, holds }, now, freed ? now : undefined);
  for (let step = due.next(); step !== undefined; step = due.next()) {
    yield step.kind === 'hold'
      ? endHolds(state.accounts.get(accountId)!, step.holds)
      : forfeit(state, accountId, step);
  }
}

/** One transaction for all grants that ended at one instant for one reason. */
function forfeit(
  state: SettleState,
  accountId: Uuid,
  { kind: operation, parts, at }: Forfeit,
): Changes {
  const amount = sumOf(parts);
  const id = state.newId();
  const postings: Posting[] = [
    { accountId, amount: -amount, parts },
    { accountId: state.store.breakageId, amount },
  ];
  const booked = book(
    { ...state, now: at },
    draftOf(
      {
        id,
        operation,
        reference: operation === 'expire' ? 'expired' : 'voided',
        key: `${operation}:${formatId('transaction', id)}`,
        fingerprint: id,
      },
      postings,
    ),
  );
  if ('refusal' in booked) throw new Error('What a grant has left is always in the balance.');
  return booked.changes;
}
