import { compareUse } from '../../core/funds/funds.js';
import type { Uuid } from '../../core/id.js';
import type { Grant } from '../../core/model.js';
import { plainArray, type Result, type Statement } from '../engine/db.js';

/** What the write path reads of grants and holds; touched only by accounts that have them. */

/** Whose holds and grants these are, and of how much: that never changes, and needs no lock. */
export function findOwners(
  storeId: Uuid,
  holdIds: readonly Uuid[],
  grantIds: readonly Uuid[],
): Statement {
  return {
    text: `select wanted.id, h.account_id, h.amount::text as amount
        from unnest($2::uuid[]) as wanted (id)
        cross join lateral (select account_id, amount from tallystick.holds
          where store_id = $1 and hold_id = wanted.id limit 1) as h
      union all
      select wanted.id, g.account_id, g.amount::text from unnest($3::uuid[]) as wanted (id)
        cross join lateral (select account_id, amount from tallystick.grants
          where store_id = $1 and grant_id = wanted.id limit 1) as g`,
    values: [storeId, plainArray(holdIds), plainArray(grantIds)],
  };
}

/** By account, each in the order of use. */
export function groupGrants(grants: readonly Grant[]): Map<Uuid, Map<Uuid, Grant>> {
  return groupByAccount([...grants].sort(compareUse));
}

export function groupByAccount<Item extends { id: Uuid; accountId: Uuid }>(
  items: readonly Item[],
): Map<Uuid, Map<Uuid, Item>> {
  const groups = new Map<Uuid, Map<Uuid, Item>>();
  for (const item of items) {
    let group = groups.get(item.accountId);
    if (group === undefined) {
      group = new Map();
      groups.set(item.accountId, group);
    }
    group.set(item.id, item);
  }
  return groups;
}

export interface Owned {
  readonly accountId: Uuid;
  readonly amount: bigint;
}

export function toOwners(result: Result): Map<Uuid, Owned> {
  return new Map(
    result.rows.map(({ id, account_id: accountId, amount }) => [
      id,
      { accountId, amount: BigInt(amount) },
    ]),
  );
}
