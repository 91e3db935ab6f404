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

/**
 * The instants that a test store's clock can show. The id of an event begins with its instant, in
 * milliseconds since 1970; and what a movement makes may end a while after it, at an instant that
 * PostgreSQL must still be able to read, and it reads none after the year 9999.
 */
export const CLOCK_MIN = Date.parse('1970-01-01T00:00:00Z');
export const CLOCK_MAX = Date.parse('9998-12-31T23:59:59.999Z');

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
  /** What its open holds keep: part of the balance that is not available. */
  readonly held: bigint;
  /** What its grants have that no hold keeps. */
  readonly freeInGrants: bigint;
  /** How many of its grants have something left, and how many of its holds are open. */
  readonly openGrants: number;
  readonly openHolds: number;
  /** Whether it ever had a grant. */
  readonly hasGrants: boolean;
  readonly metadata: Metadata | null;
}

/** What callers note on their objects: text under names of their own. */
export type Metadata = Readonly<Record<string, string>>;

export type Operation =
  | 'seed'
  | 'credit'
  | 'debit'
  | 'post'
  | 'reverse'
  | 'capture'
  /** A capture that came after its hold had expired. */
  | 'late_capture'
  | 'expire'
  | 'void';

/** What callers note on a movement, which is kept on its transaction. */
export interface Remarks {
  readonly reference: string;
  readonly description: string | null;
  readonly metadata: Metadata | null;
}

/** A reference, and whatever else is noted. */
export type Noted = Pick<Remarks, 'reference'> & {
  readonly [Field in Exclude<keyof Remarks, 'reference'>]?: Remarks[Field] | undefined;
};

export function remarksOf({ reference, description = null, metadata = null }: Noted): Remarks {
  return { reference, description, metadata };
}

/** A transaction without its lines. */
export interface TransactionHead extends Remarks {
  readonly id: Uuid;
  readonly operation: Operation;
  /** Unique in its store, for ever (contract Q15). */
  readonly key: string;
  /** The first 128 bits of a SHA-256 of the command, as a UUID; see `canonicalForm`. */
  readonly fingerprint: Uuid;
  readonly reversalOf: Uuid | null;
  readonly createdAt: number;
  /** The hold that it captured. */
  readonly holdId: Uuid | null;
}

/** One balanced, immutable movement. */
export interface Transaction extends TransactionHead {
  /** All lines, the customer's first; they sum to zero. */
  readonly entries: readonly Entry[];
  readonly drawdowns: readonly Drawdown[];
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

/** What a line took from a grant, or put back where it is negative. */
export interface Drawdown {
  readonly line: number;
  readonly grantId: Uuid;
  readonly amount: bigint;
}

/** A line that is to be written, before its place in the account's history is known. */
export interface Posting {
  readonly accountId: Uuid;
  readonly amount: bigint;
  /**
   * Where the amount comes from, or goes back to where it is negative; what these parts do not
   * cover is the general pool's. Left out, a debit draws in the order of use.
   */
  readonly parts?: readonly Part[];
}

/** A part of an amount: of a grant, or of the general pool where `grantId` is null. */
export interface Part {
  readonly grantId: Uuid | null;
  readonly amount: bigint;
}

export type GrantCategory = 'paid' | 'promotional';

/** Credits with a life and a place in the order of use. */
export interface Grant {
  readonly id: Uuid;
  readonly accountId: Uuid;
  readonly transactionId: Uuid;
  readonly amount: bigint;
  readonly remaining: bigint;
  /** What open holds keep of what remains. */
  readonly held: bigint;
  /** 0 to 100; the lower is used first. */
  readonly priority: number;
  readonly category: GrantCategory;
  /** The first instant at which it can be used. */
  readonly effectiveAt: number;
  /** The first instant at which it can no longer be used; null for never. */
  readonly expiresAt: number | null;
  readonly voidedAt: number | null;
  /** When its expiry was announced as near. */
  readonly announcedAt: number | null;
  readonly createdAt: number;
}

/** What the void of a grant took at once. */
export interface Void {
  readonly transactionId: Uuid;
  readonly amount: bigint;
}

export type HoldStatus = 'open' | 'captured' | 'released' | 'expired';

/** Credits set aside for a use whose cost is not known yet. */
export interface Hold {
  readonly id: Uuid;
  readonly accountId: Uuid;
  readonly amount: bigint;
  /** What it still keeps; zero once it is no longer open. */
  readonly remaining: bigint;
  readonly captured: bigint;
  readonly status: HoldStatus;
  readonly reference: string;
  readonly key: string;
  readonly fingerprint: Uuid;
  /** What it keeps of which grant, in the order of use; they sum to `remaining`. */
  readonly pins: readonly Part[];
  /** The first instant at which it keeps nothing. */
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/**
 * Names are compared trimmed and case-insensitively (contract section 2.3), and in normal form C,
 * so that a letter is the same whether its accent is a part of it or stands by itself. A small
 * letter can have a composed form where the capital has none, so the form is taken at the end too.
 */
export function nameKey(name: string): string {
  return name.normalize('NFC').trim().toLowerCase().normalize('NFC');
}

/** The keys that rows of this name may have: before names had a normal form, some had others. */
export function nameKeys(name: string): string[] {
  const key = nameKey(name);
  return [...new Set([key, key.normalize('NFD'), name.trim().toLowerCase()])];
}
