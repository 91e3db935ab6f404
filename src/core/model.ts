import type { Uuid } from './id.js';

/**
 * What the ledger knows. Amounts are integers in the account's unit; times are UTC instants in
 * milliseconds since the Unix epoch, the precision that the wire shows, so that a time read from
 * an answer names exactly the instant that was stored.
 */

export type StoreMode = 'test' | 'live';

/** A tenant: accounts, keys and history of one store are never visible to another. */
export interface Store {
  readonly id: Uuid;
  readonly name: string;
  readonly mode: StoreMode;
  /** The system accounts that take the other line of a plain credit, debit or expiry. */
  readonly issuanceId: Uuid;
  readonly redemptionId: Uuid;
  readonly breakageId: Uuid;
}

export type AccountStatus = 'active' | 'frozen' | 'closed';

/** A customer account: credit-normal, never negative. */
export interface Account {
  readonly id: Uuid;
  readonly customerId: string;
  /** As it was spelled; unique per customer by `nameKey`. */
  readonly name: string;
  readonly unitLabel: string;
  readonly status: AccountStatus;
  /** Posted: the sum of all its entries. */
  readonly balance: bigint;
  /** The `seq` of its newest entry; 0 before the first. */
  readonly version: number;
  readonly createdAt: number;
  /** When its status last changed. */
  readonly updatedAt: number;
  /** When its newest entry was posted; `createdAt` before the first. */
  readonly postedAt: number;
}

export type Operation = 'seed' | 'credit' | 'debit' | 'post' | 'reverse';

/** One balanced, immutable movement. */
export interface Transaction {
  readonly id: Uuid;
  readonly operation: Operation;
  readonly reference: string;
  /** Unique in its store, for ever (contract Q15). */
  readonly key: string;
  /** The first 128 bits of a SHA-256 of the command, as a UUID; see `canonicalForm`. */
  readonly fingerprint: Uuid;
  readonly reversalOf: Uuid | null;
  readonly createdAt: number;
  /** All lines, the customer's first; they sum to zero. */
  readonly entries: readonly Entry[];
}

/** One line of a transaction. */
export interface Entry {
  readonly line: number;
  readonly accountId: Uuid;
  /** Signed: a credit is positive and raises a customer's balance, a debit is negative. */
  readonly amount: bigint;
  /** The account's version and balance right after this line; null on system accounts. */
  readonly seq: number | null;
  readonly balanceAfter: bigint | null;
}

/** A line that is to be written, before its place in the account's history is known. */
export interface Posting {
  readonly accountId: Uuid;
  readonly amount: bigint;
}

/** Names are compared trimmed and case-insensitively (contract section 2.3). */
export function nameKey(name: string): string {
  return name.trim().toLowerCase();
}
