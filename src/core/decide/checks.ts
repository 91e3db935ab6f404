import type { Prints } from '../command.js';
import { type Blamed, notFound, type Refusal, refuse } from '../errors.js';
import type { Uuid } from '../id.js';
import type { Posting } from '../model.js';
import type { Decision, KeyHolder, State } from '../state.js';
import { book, type Draft } from './book.js';

/** The checks of `decide`, each a decision where it fails and undefined where it passes. */

export function missingAccount(
  state: State,
  accountIds: readonly Uuid[],
  blamed?: (index: number) => Blamed,
): Decision | undefined {
  const index = accountIds.findIndex((id) => !state.accounts.has(id));
  if (index < 0) return undefined;
  return refused(notFound('account', blamed?.(index)));
}

/** A key that is held already answers with its transaction, whatever has happened since. */
export function replay(
  state: State,
  command: Prints & { readonly key: string; readonly transactionId: Uuid },
): Decision | undefined {
  const holder = state.keys.get(command.key);
  if (holder === undefined) return undefined;
  const { fingerprint, formerFingerprint } = command;
  if (holder.fingerprint !== fingerprint && holder.fingerprint !== formerFingerprint) {
    return mismatch();
  }
  return replayOrOwn(holder, command.transactionId);
}

export function mismatch(): Decision {
  const message =
    'This idempotency key was used with a different request. Send the original request, or use a new key.';
  return refused(refuse('idempotency_key_mismatch', message, 'key'));
}

export function unusable(
  state: State,
  postings: readonly Pick<Posting, 'accountId'>[],
): Decision | undefined {
  const accounts = postings.map(({ accountId }) => state.accounts.get(accountId));
  if (accounts.some((account) => account?.status === 'closed')) {
    const message = 'An account of this transaction is closed, and closing is final.';
    return refused(refuse('account_closed', message));
  }
  if (accounts.some((account) => account?.status === 'frozen')) {
    const message = 'An account of this transaction is frozen. Unfreeze it and try again.';
    return refused(refuse('account_frozen', message));
  }
  return undefined;
}

export function unbalanced(postings: readonly Posting[]): Decision | undefined {
  const sum = postings.reduce((total, { amount }) => total + amount, 0n);
  if (sum === 0n) return undefined;
  const debits = postings.reduce((total, { amount }) => (amount < 0n ? total - amount : total), 0n);
  const message = `Debits (${debits}) and credits (${debits + sum}) must be equal.`;
  return refused(refuse('unbalanced_transaction', message, 'postings'));
}

/**
 * A transaction whose id is the command's own was committed by an earlier try of this very
 * command whose answer was lost, so that its caller is told of it as new.
 */
export function replayOrOwn(holder: KeyHolder, transactionId: Uuid): Decision {
  const replayed = holder.transactionId !== transactionId;
  return { kind: 'found', transactionId: holder.transactionId, replayed };
}

export function posted(state: State, draft: Draft): Decision {
  const booked = book(state, draft);
  return 'refusal' in booked ? refused(booked.refusal) : { kind: 'posted', ...booked };
}

export function refused(refusal: Refusal): Decision {
  return { kind: 'refused', refusal };
}
