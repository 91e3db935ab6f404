import type { Uuid } from '../core/id.js';
import type { Account, AccountStatus, Metadata } from '../core/model.js';
import { plainArray, type Statement } from './db.js';

export const SELECT_ACCOUNT = `select account_id, customer_id, name, unit_label, status, balance::text as balance,
  version::text as version, ${['created_at', 'updated_at', 'posted_at'].map((column) => epoch(column)).join(', ')},
  held::text as held, free_in_grants::text as free_in_grants, open_grants, open_holds, has_grants, metadata
  from tallystick.accounts`;

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
        ${SELECT_ACCOUNT} where store_id = $1 and account_id = wanted.id
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

export interface AccountRow {
  account_id: Uuid;
  customer_id: string;
  name: string;
  unit_label: string;
  status: AccountStatus;
  balance: string;
  version: string;
  created_at: string;
  updated_at: string;
  posted_at: string;
  held: string;
  free_in_grants: string;
  open_grants: number;
  open_holds: number;
  has_grants: boolean;
  metadata: Metadata | null;
}

export function toAccount(row: AccountRow): Account {
  return {
    id: row.account_id,
    customerId: row.customer_id,
    name: row.name,
    unitLabel: row.unit_label,
    status: row.status,
    balance: BigInt(row.balance),
    version: Number(row.version),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
    postedAt: Number(row.posted_at),
    held: BigInt(row.held),
    freeInGrants: BigInt(row.free_in_grants),
    openGrants: row.open_grants,
    openHolds: row.open_holds,
    hasGrants: row.has_grants,
    metadata: row.metadata,
  };
}

/**
 * Selects a time as whole milliseconds since the Unix epoch. A double holds them exactly in any
 * year, and costs a tenth of the numeric arithmetic that `extract` does for each row.
 */
export function epoch(column: string, table?: string): string {
  const source = table === undefined ? column : `${table}.${column}`;
  return `(date_part('epoch', ${source}) * 1000)::bigint::text as ${column}`;
}
