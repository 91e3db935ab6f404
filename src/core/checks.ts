import { AMOUNT_MAX } from './amount.js';
import type { MoveCommand, PostCommand } from './command.js';
import { type Refusal, refuse } from './errors.js';
import type { Uuid } from './id.js';
import type { Account, Posting } from './model.js';
import type { Decision, KeyHolder, State } from './state.js';

/** The checks of `decide`, each a decision where it fails and undefined where it passes. */

export function missingAccount(
  state: State,
  accountIds: readonly Uuid[],
  param?: (index: number) => string,
): Decision | undefined {
  const index = accountIds.findIndex((id) => !state.accounts.has(id));
  if (index < 0) return undefined;
  const message = 'There is no such account in this store. Check the account id.';
  return refused(refuse('account_not_found', message, param?.(index)));
}

/** A key that is held already answers with its transaction, whatever has happened since. */
export function replay(state: State, command: MoveCommand | PostCommand): Decision | undefined {
  const holder = state.keys.get(command.key);
  if (holder === undefined) return undefined;
  if (holder.fingerprint === command.fingerprint) {
    return replayOrOwn(holder, command.transactionId);
  }
  const message =
    'This idempotency key was used with a different request. Send the original request, or use a new key.';
  return refused(refuse('idempotency_key_mismatch', message, 'idempotency_key'));
}

export function unusable(state: State, postings: readonly Posting[]): Decision | undefined {
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
  return refused(refuse('unbalanced_transaction', message, 'entries'));
}

/**
 * A transaction whose id is the command's own was committed by an earlier try of this very
 * command whose answer was lost, so that its caller is told of it as new.
 */
export function replayOrOwn(holder: KeyHolder, transactionId: Uuid): Decision {
  const replayed = holder.transactionId !== transactionId;
  return { kind: 'found', transactionId: holder.transactionId, replayed };
}

/** The net of each account counts, not the order of its lines (contract Q9). */
export function uncovered(state: State, postings: readonly Posting[]): Decision | undefined {
  const nets = new Map<Account, { net: bigint; credits: bigint }>();
  for (const { accountId, amount } of postings) {
    const account = state.accounts.get(accountId);
    // System accounts are never locked, so they are not in the state: they are unbounded.
    if (account === undefined) continue;
    const { net, credits } = nets.get(account) ?? { net: 0n, credits: 0n };
    nets.set(account, { net: net + amount, credits: amount > 0n ? credits + amount : credits });
  }
  for (const [account, { net, credits }] of nets) {
    if (net < 0n && account.balance + net < 0n) {
      const message =
        `Insufficient balance: ${-net} needed, ${account.balance} there. ` +
        'Credit the account, then try again with the same key.';
      return refused(refuse('insufficient_balance', message, 'amount'));
    }
    // Credits are posted before debits, so it is their gross that must fit.
    if (account.balance + credits > AMOUNT_MAX) {
      const message = `The balance would exceed ${AMOUNT_MAX}, the most an account can hold.`;
      return refused(refuse('balance_limit_exceeded', message, 'amount'));
    }
  }
  return undefined;
}

export function refused(refusal: Refusal): Decision {
  return { kind: 'refused', refusal };
}
