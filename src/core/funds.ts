import type { Uuid } from './id.js';
import type { Account, Grant, Hold, Part } from './model.js';

/**
 * What an account's balance is made of: grants, and the general pool that is everything else.
 * An account without open grants and holds is all pool, and is never looked at here.
 */
export interface Funds {
  readonly account: Account;
  /** In the order of use. */
  readonly grants: readonly Grant[];
  readonly holds: readonly Hold[];
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
function rankOfPool(account: Account): Rank {
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
export function freeOf({ remaining, held }: Grant): bigint {
  return remaining - held;
}

/** What no hold keeps of the general pool: all that is neither held nor in grants. */
export function freeOfPool({ balance, held, freeInGrants }: Account): bigint {
  return balance - held - freeInGrants;
}

/** What open holds keep of each grant, and of the pool under null. */
function pinnedBy(holds: Iterable<Pick<Hold, 'status' | 'pins'>>): Map<Uuid | null, bigint> {
  const pinned = new Map<Uuid | null, bigint>();
  for (const { status, pins } of holds) {
    if (status !== 'open') continue;
    for (const { grantId, amount } of pins) {
      pinned.set(grantId, (pinned.get(grantId) ?? 0n) + amount);
    }
  }
  return pinned;
}

/**
 * What can be used at an instant, part by part, in the order of use, once all that was due by then
 * has been settled. Of an account's grants, those that come last may be left out.
 */
export function usableParts({ account, grants }: Omit<Funds, 'holds'>, at: number): Part[] {
  const poolRank = rankOfPool(account);
  const parts: Part[] = [];
  let poolPlace = -1;
  for (const grant of grants) {
    if (poolPlace < 0 && compareUse(poolRank, grant) < 0) poolPlace = parts.length;
    if (grant.effectiveAt > at || endOf(grant) <= at) continue;
    const free = freeOf(grant);
    if (free > 0n) parts.push({ grantId: grant.id, amount: free });
  }
  const pool = freeOfPool(account);
  const place = poolPlace < 0 ? parts.length : poolPlace;
  if (pool > 0n) parts.splice(place, 0, { grantId: null, amount: pool });
  return parts;
}

/**
 * What is still to come at an instant.
 *
 * @param unread what comes into effect of grants that were left out.
 */
export function pendingAt(
  grants: Iterable<Grant>,
  unread: readonly Beginning[],
  at: number,
): bigint {
  let pending = 0n;
  for (const beginning of unread) if (beginning.at > at) pending += beginning.amount;
  for (const grant of grants) if (grant.effectiveAt > at) pending += freeOf(grant);
  return pending;
}

/** What is still to come, and what has ended at that instant and is yet to be settled. */
export function unusableAt(
  grants: readonly Grant[],
  unread: readonly Beginning[],
  at: number,
): bigint {
  let ended = 0n;
  for (const grant of grants) {
    if (endOf(grant) <= at && grant.effectiveAt <= at) ended += freeOf(grant);
  }
  return ended + pendingAt(grants, unread, at);
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
/**
 * As much of an account's funds as its position follows from: the grants that have ended, those
 * that are still to come and those that end next, and all open holds.
 */
export interface Basis {
  readonly account: Account;
  readonly grants: Iterable<Ending>;
  readonly holds: readonly Keeping[];
}
export type Ending = Pick<Grant, 'id' | 'remaining' | 'effectiveAt' | 'expiresAt' | 'voidedAt'>;
export type Keeping = Pick<Hold, 'status' | 'remaining' | 'pins' | 'expiresAt'>;

/** What an account has at an instant, whether or not anything due has been settled yet. */
export function positionOf({ account, grants, holds }: Basis, at: number): Position {
  const live = holds.filter((hold) => hold.status === 'open' && hold.expiresAt > at);
  const pinned = pinnedBy(live);
  const held = live.reduce((sum, { remaining }) => sum + remaining, 0n);
  let pending = 0n;
  let ended = 0n;
  let next: { amount: bigint; at: number } | null = null;
  for (const grant of grants) {
    const end = endOf(grant);
    const free = grant.remaining - (pinned.get(grant.id) ?? 0n);
    if (end <= at) ended += free;
    // A clock that was set back can make what is held one that is still to come.
    else if (grant.effectiveAt > at) pending += free;
    if (end <= at || end === Infinity || grant.remaining === 0n) continue;
    if (next === null || end < next.at) next = { amount: grant.remaining, at: end };
    else if (end === next.at) next = { amount: next.amount + grant.remaining, at: end };
  }
  const balance = account.balance - ended - pending;
  const available = availableOf(account, balance, held);
  return { balance, held, available, pending, expiringNext: next };
}
