import type { Account, Grant, Hold, Part } from '../model.js';

/** As much of a grant and of a hold as it takes to know what there is of them at an instant. */
export type Lot = Pick<
  Grant,
  'id' | 'remaining' | 'held' | 'effectiveAt' | 'expiresAt' | 'voidedAt'
>;
export type Keeping = Pick<Hold, 'id' | 'status' | 'remaining' | 'pins' | 'expiresAt'>;

/**
 * What an account's balance is made of: grants, and the general pool that is everything else.
 * An account without open grants and holds is all pool, and is never looked at here.
 */
export interface Funds<G extends Lot = Grant, H extends Keeping = Hold> {
  readonly account: Account;
  /** Those that were read. Where it matters, in the order of use. */
  readonly grants: readonly G[];
  readonly holds: readonly H[];
}

/** What will come into effect at an instant. */
export interface Beginning {
  readonly at: number;
  readonly amount: bigint;
}

/** What can be said of an account's funds at an instant. */
export interface Position {
  /** What can be used or is held: neither expired nor still to come. */
  readonly balance: bigint;
  readonly held: bigint;
  /** What can be used: the balance less what is held; of a closed account nothing. */
  readonly available: bigint;
  /** What will come into effect later. */
  readonly pending: bigint;
  /** The nearest expiry of something that is left. */
  readonly expiringNext: { readonly amount: bigint; readonly at: number } | null;
}

/**
 * How many grants and holds of an account can be open at once. What ends at one instant is booked
 * in one database transaction, which must stay within the time that a statement has.
 */
export const OPEN_GRANTS_MAX = 50_000;
export const OPEN_HOLDS_MAX = 50_000;

const POOL_PRIORITY = 50;

type Rank = Pick<Grant, 'priority' | 'expiresAt' | 'category' | 'effectiveAt' | 'createdAt' | 'id'>;

/**
 * The order of use: priority, soonest expiry with never last, promotional before paid, effective
 * first, created first, id. It is total, so the same funds are always used the same way.
 */
export function compareUse(a: Rank, b: Rank): number {
  return (
    a.priority - b.priority ||
    compare(a.expiresAt ?? Infinity, b.expiresAt ?? Infinity) ||
    compare(a.category === 'paid' ? 1 : 0, b.category === 'paid' ? 1 : 0) ||
    a.effectiveAt - b.effectiveAt ||
    a.createdAt - b.createdAt ||
    compare(a.id, b.id)
  );
}

function compare<T extends number | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The general pool takes part as paid credits of middle priority that never expire. */
export function rankOfPool(account: Account): Rank {
  const { createdAt, id } = account;
  const category = 'paid';
  const priority = POOL_PRIORITY;
  return { priority, expiresAt: null, category, effectiveAt: createdAt, createdAt, id };
}

/** The first instant at which a grant can no longer be used; Infinity for never. */
export function endOf(grant: Pick<Grant, 'expiresAt' | 'voidedAt'>): number {
  return Math.min(grant.expiresAt ?? Infinity, grant.voidedAt ?? Infinity);
}

/** What no hold keeps of a grant. */
export function freeOf({ remaining, held }: Pick<Grant, 'remaining' | 'held'>): bigint {
  return remaining - held;
}

/** What no hold keeps of the general pool: all that is neither held nor in grants. */
export function freeOfPool({ balance, held, freeInGrants }: Account): bigint {
  return balance - held - freeInGrants;
}

export function sumOf(parts: Iterable<Part>): bigint {
  let sum = 0n;
  for (const { amount } of parts) sum += amount;
  return sum;
}

/** Takes an amount from the front of parts; less where there is not so much. */
export function takeFrom(parts: Iterable<Part>, amount: bigint): Part[] {
  const taken: Part[] = [];
  let left = amount;
  for (const part of parts) {
    if (left === 0n) break;
    const share = part.amount < left ? part.amount : left;
    taken.push({ grantId: part.grantId, amount: share });
    left -= share;
  }
  return taken;
}

/** What is left of parts once an amount is taken from their front. */
export function leaveOf(parts: Iterable<Part>, amount: bigint): Part[] {
  const rest: Part[] = [];
  let left = amount;
  for (const { grantId, amount: size } of parts) {
    const share = size < left ? size : left;
    left -= share;
    if (size > share) rest.push({ grantId, amount: size - share });
  }
  return rest;
}

/** What can be used of a balance. Closing is final, so nothing can ever take what is left. */
export function availableOf({ status }: Account, balance: bigint, held: bigint): bigint {
  return status === 'closed' ? 0n : balance - held;
}
