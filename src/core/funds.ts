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
  /** What remains of open grants that were not read, since what is asked for cannot reach them. */
  readonly unread: bigint;
}

/** What can be said of an account's funds at an instant. */
export interface Position {
  /** What can be used or is held: neither expired nor still to come. */
  readonly balance: bigint;
  readonly held: bigint;
  /** What can be used: the balance less what is held. */
  readonly available: bigint;
  /** What will come into effect later. */
  readonly pending: bigint;
  /** The nearest expiry of something that is left. */
  readonly expiringNext: { readonly amount: bigint; readonly at: number } | null;
}

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

/** What open holds keep of each grant, and of the pool under null. */
export function pinnedBy(holds: Iterable<Pick<Hold, 'status' | 'pins'>>): Map<Uuid | null, bigint> {
  const pinned = new Map<Uuid | null, bigint>();
  for (const { status, pins } of holds) {
    if (status !== 'open') continue;
    for (const { grantId, amount } of pins) {
      pinned.set(grantId, (pinned.get(grantId) ?? 0n) + amount);
    }
  }
  return pinned;
}

/** What can be used at an instant, part by part, in the order of use. */
export function usableParts({ account, grants, holds, unread }: Funds, at: number): Part[] {
  const pinned = pinnedBy(holds.filter((hold) => hold.expiresAt > at));
  const poolRank = rankOfPool(account);
  const parts: Part[] = [];
  let pool = account.balance - unread - (pinned.get(null) ?? 0n);
  let poolPlace = -1;
  for (const grant of grants) {
    pool -= grant.remaining;
    if (poolPlace < 0 && compareUse(poolRank, grant) < 0) poolPlace = parts.length;
    if (grant.remaining === 0n || grant.effectiveAt > at || endOf(grant) <= at) continue;
    const free = grant.remaining - (pinned.get(grant.id) ?? 0n);
    if (free > 0n) parts.push({ grantId: grant.id, amount: free });
  }
  const place = poolPlace < 0 ? parts.length : poolPlace;
  if (pool > 0n) parts.splice(place, 0, { grantId: null, amount: pool });
  return parts;
}

/** How much of a grant, or of the pool under null, is kept by no hold. */
export function freeOf({ account, grants, holds, unread }: Funds, grantId: Uuid | null): bigint {
  const pinned = pinnedBy(holds).get(grantId) ?? 0n;
  if (grantId !== null) {
    return (grants.find(({ id }) => id === grantId)?.remaining ?? 0n) - pinned;
  }
  const inGrants = grants.reduce((sum, { remaining }) => sum + remaining, unread);
  return account.balance - inGrants - pinned;
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

/**
 * As much of an account's funds as its position follows from: the grants that have ended, those
 * that are still to come and those that end next, and all open holds.
 */
export interface Standing {
  readonly account: Account;
  readonly grants: Iterable<Ending>;
  readonly holds: readonly Keeping[];
}
export type Ending = Pick<Grant, 'id' | 'remaining' | 'effectiveAt' | 'expiresAt' | 'voidedAt'>;
export type Keeping = Pick<Hold, 'status' | 'remaining' | 'pins' | 'expiresAt'>;

/** What an account has at an instant, whether or not anything due has been settled yet. */
export function positionOf({ account, grants, holds }: Standing, at: number): Position {
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
  return { balance, held, available: balance - held, pending, expiringNext: next };
}
