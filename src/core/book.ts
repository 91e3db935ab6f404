import type { Uuid } from './id.js';
import type { Account, Entry, Posting, Transaction } from './model.js';

export type Draft = Omit<Transaction, 'createdAt' | 'entries'> & {
  readonly postings: readonly Posting[];
};

/**
 * Turns checked postings into a transaction with its places in each account's history, and the
 * accounts as they are after it.
 *
 * Within one account credits take their places before debits, so that no `balanceAfter` is ever
 * negative where the net is covered; the lines keep the order in which they were sent.
 */
export function book(
  accounts: ReadonlyMap<Uuid, Account>,
  now: number,
  draft: Draft,
): { transaction: Transaction; accounts: Account[] } {
  const { postings } = draft;
  const moved = new Map<Uuid, Account>();
  let createdAt = now;
  for (const { accountId } of postings) {
    const account = accounts.get(accountId);
    if (account === undefined) continue;
    moved.set(accountId, account);
    // Time never runs backwards within an account, whatever the clock does.
    if (account.postedAt > createdAt) createdAt = account.postedAt;
  }
  const entries = new Array<Entry>(postings.length);
  for (const credits of [true, false]) {
    for (let line = 0; line < postings.length; line++) {
      const { accountId, amount } = postings[line]!;
      if (amount > 0n !== credits) continue;
      const account = moved.get(accountId);
      if (account === undefined) {
        entries[line] = { line, accountId, amount, seq: null, balanceAfter: null };
        continue;
      }
      const version = account.version + 1;
      const balance = account.balance + amount;
      moved.set(accountId, { ...account, version, balance, postedAt: createdAt });
      entries[line] = { line, accountId, amount, seq: version, balanceAfter: balance };
    }
  }
  const transaction: Transaction = {
    id: draft.id,
    operation: draft.operation,
    reference: draft.reference,
    key: draft.key,
    fingerprint: draft.fingerprint,
    reversalOf: draft.reversalOf,
    createdAt,
    entries,
  };
  return { transaction, accounts: [...moved.values()] };
}
