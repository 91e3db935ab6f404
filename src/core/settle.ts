import { book, draftOf } from './book.js';
import { endOf, freeOf } from './funds.js';
import { formatId, type Uuid } from './id.js';
import { endHolds } from './kept.js';
import type { Grant, Hold, Posting } from './model.js';
import { type Changes, instantOf, type State } from './state.js';

type SettleState = Omit<State, 'keys' | 'holdKeys' | 'names' | 'originals'>;

/**
 * Carries out what has fallen due on an account: holds that end, and grants that expire or were
 * voided, of which all that no hold keeps goes to breakage. It yields what changes, one thing
 * after the other, and looks at the state again for the next: what is yielded is to be applied.
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
  for (const instant of dueInstants(state, accountId, freed)) {
    const ending = holdsOf(state, accountId).filter(
      ({ status, expiresAt }) => status === 'open' && expiresAt <= instant,
    );
    if (ending.length > 0) yield endHolds(state.accounts.get(accountId)!, ending);
    const ended = grantsOf(state, accountId).filter(
      (grant) => endOf(grant) <= instant && freeOf(grant) > 0n,
    );
    const voided = ended.filter(({ voidedAt }) => voidedAt !== null);
    const expired = ended.filter(({ voidedAt }) => voidedAt === null);
    if (voided.length > 0) yield forfeit(state, accountId, 'void', voided, instant);
    if (expired.length > 0) yield forfeit(state, accountId, 'expire', expired, instant);
  }
}

function holdsOf(state: SettleState, accountId: Uuid): Hold[] {
  return [...(state.holds.get(accountId)?.values() ?? [])];
}

function grantsOf(state: SettleState, accountId: Uuid): Grant[] {
  return [...(state.grants.get(accountId)?.values() ?? [])];
}

function dueInstants(state: SettleState, accountId: Uuid, freed: boolean): number[] {
  const now = instantOf(state, state.accounts.get(accountId)!);
  const due = new Set<number>();
  for (const { status, expiresAt } of state.holds.get(accountId)?.values() ?? []) {
    if (status === 'open' && expiresAt <= now) due.add(freed ? now : expiresAt);
  }
  for (const grant of state.grants.get(accountId)?.values() ?? []) {
    if (grant.remaining > 0n && endOf(grant) <= now) due.add(freed ? now : endOf(grant));
  }
  return [...due].sort((a, b) => a - b);
}

/** One transaction for all grants that ended at one instant for one reason. */
function forfeit(
  state: SettleState,
  accountId: Uuid,
  operation: 'expire' | 'void',
  grants: readonly Grant[],
  at: number,
): Changes {
  const parts = grants.map((grant) => ({ grantId: grant.id, amount: freeOf(grant) }));
  const amount = parts.reduce((sum, part) => sum + part.amount, 0n);
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
