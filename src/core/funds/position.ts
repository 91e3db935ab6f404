import type { Account, Part } from '../model.js';
import type { State } from '../state.js';
import { settled } from './due.js';
import {
  availableOf,
  type Beginning,
  compareUse,
  endOf,
  type Funds,
  freeOf,
  freeOfPool,
  type Keeping,
  type Lot,
  type Position,
  rankOfPool,
} from './funds.js';

/** What an account has at an instant, whether or not what is due by then has been booked. */

/**
 * An account's funds at an instant. What has ended by then is settled, as a rule; where an account
 * is taken along to a later instant, by a movement of several, more may have ended on the way.
 */
export function fundsOf(
  { grants, holds }: Pick<State, 'grants' | 'holds'>,
  account: Account,
  at: number,
): Funds {
  const own = {
    account,
    grants: [...(grants.get(account.id)?.values() ?? [])],
    holds: [...(holds.get(account.id)?.values() ?? [])],
  };
  return settled(own, at);
}

/**
 * What can be used at an instant at which the funds are settled, part by part, in the order of
 * use, in which the grants are. Of an account's grants, those that come last may be left out.
 */
export function usableParts({ account, grants }: Funds, at: number): Part[] {
  const poolRank = rankOfPool(account);
  const parts: Part[] = [];
  let poolPlace = -1;
  for (const grant of grants) {
    if (poolPlace < 0 && compareUse(poolRank, grant) < 0) poolPlace = parts.length;
    const free = freeOf(grant);
    if (free > 0n && grant.effectiveAt <= at) parts.push({ grantId: grant.id, amount: free });
  }
  const pool = freeOfPool(account);
  const place = poolPlace < 0 ? parts.length : poolPlace;
  if (pool > 0n) parts.splice(place, 0, { grantId: null, amount: pool });
  return parts;
}

/**
 * What can be taken at an instant at which the funds are settled. It is known even where not all
 * grants were read, as they are not for what is more than the balance.
 */
export function takeableOf(
  { pending }: Pick<State, 'pending'>,
  { account, grants }: Pick<Funds, 'account' | 'grants'>,
  at: number,
): bigint {
  const { balance, held, id } = account;
  return balance - held - pendingAt(grants, pending.get(id) ?? [], at);
}

/**
 * What is still to come at an instant at which the funds are settled.
 *
 * @param unread what comes into effect of grants that were left out.
 */
export function pendingAt(grants: Iterable<Lot>, unread: readonly Beginning[], at: number): bigint {
  let pending = 0n;
  for (const beginning of unread) if (beginning.at > at) pending += beginning.amount;
  for (const grant of grants) if (grant.effectiveAt > at) pending += freeOf(grant);
  return pending;
}

/**
 * What an account has at an instant.
 *
 * @param funds all holds that have ended by then, and of the grants at least those that have ended,
 * those that are still to come and those that end next.
 */
export function positionOf(funds: Funds<Lot, Keeping>, at: number): Position {
  const { account, grants } = settled(funds, at);
  const { held } = account;
  // A clock that was set back can make what is held one that is still to come.
  const pending = pendingAt(grants, [], at);
  const balance = account.balance - pending;
  const available = availableOf(account, balance, held);
  return { balance, held, available, pending, expiringNext: nextEnd(grants, at) };
}

function nextEnd(grants: readonly Lot[], at: number): Position['expiringNext'] {
  let next: Position['expiringNext'] = null;
  for (const grant of grants) {
    const end = endOf(grant);
    if (end <= at || end === Infinity || grant.remaining === 0n) continue;
    if (next === null || end < next.at) next = { amount: grant.remaining, at: end };
    else if (end === next.at) next = { amount: next.amount + grant.remaining, at: end };
  }
  return next;
}
