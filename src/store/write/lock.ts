import type { Uuid } from '../../core/id.js';
import { plainArray, type Statement } from '../engine/db.js';
import { ACCOUNTS } from '../rows/rows.js';

/**
 * Locks accounts, and leaves out those that another has locked: a batch is of many accounts, and
 * must not wait for one of them while the others are free. It so waits for nobody in a circle.
 *
 * No stronger lock is needed: nothing refers to an account's key. The lateral form looks up each
 * id by the primary key whatever the planner believes about the table. With `= any($2)` a plan
 * made while the table was empty went on to scan all of it.
 */
export function lockAccounts(storeId: Uuid, accountIds: readonly Uuid[]): Statement {
  return {
    text: `select a.* from unnest($2::uuid[]) as wanted (id)
      cross join lateral (
        ${ACCOUNTS.select} where store_id = $1 and account_id = wanted.id
        for no key update skip locked
      ) as a`,
    values: [storeId, plainArray([...accountIds].sort())],
  };
}

/**
 * Waits for accounts that others have locked, one after the other in the order of their ids, which
 * all who wait follow, so that two of them cannot wait for one another. It waits at most as long
 * as the lane's lock time-out for each.
 */
export function awaitAccounts(storeId: Uuid, accountIds: readonly Uuid[]): Statement {
  return {
    text: `select a.* from unnest($2::uuid[]) as wanted (id)
      cross join lateral (
        select 1 from tallystick.accounts where store_id = $1 and account_id = wanted.id
        for no key update
      ) as a`,
    values: [storeId, plainArray([...accountIds].sort())],
  };
}

/** Which accounts there are, whoever has locked them. */
export function findAccounts(storeId: Uuid, accountIds: readonly Uuid[]): Statement {
  return {
    text: `select a.account_id from unnest($2::uuid[]) as wanted (id)
      cross join lateral (
        select account_id from tallystick.accounts
        where store_id = $1 and account_id = wanted.id limit 1
      ) as a`,
    values: [storeId, plainArray(accountIds)],
  };
}
