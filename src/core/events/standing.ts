import { availableOf } from '../funds/funds.js';
import type { Account } from '../model.js';

/** An account right after what is told of it, and what of its balance is still to come. */
export interface Standing {
  readonly account: Account;
  readonly pending: bigint;
}

/**
 * What is told of a balance: just what a read of it would say at that instant. What is still to
 * come is in no balance yet, and of a closed account nothing can be taken.
 */
export function amountsOf({ account, pending }: Standing) {
  const balance = account.balance - pending;
  const available = availableOf(account, balance, account.held);
  return { balance: balance.toString(), available: available.toString() };
}
