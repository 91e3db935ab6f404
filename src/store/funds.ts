import { compareUse } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Grant, GrantCategory, Hold, HoldStatus, Part } from '../core/model.js';
import { plainArray, type Result, type Statement } from './db.js';
import { epoch } from './lock.js';

/** What the write path reads of grants and holds; touched only by accounts that have them. */

export const GRANT_COLUMNS = `grant_id, account_id, transaction_id, amount::text as amount,
    remaining::text as remaining, held::text as held, priority, category,
    ${['effective_at', 'expires_at', 'voided_at', 'announced_at', 'created_at'].map((column) => epoch(column)).join(', ')}`;

export const SELECT_GRANT = `select ${GRANT_COLUMNS} from tallystick.grants`;

export const HOLD_COLUMNS = `hold_id, account_id, amount::text as amount,
    remaining::text as remaining, captured::text as captured, status, reference,
    idempotency_key, fingerprint, pins,
    ${['expires_at', 'created_at', 'updated_at'].map((column) => epoch(column)).join(', ')}`;

export const SELECT_HOLD = `select ${HOLD_COLUMNS} from tallystick.holds`;

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

export interface GrantRow {
  grant_id: Uuid;
  account_id: Uuid;
  transaction_id: Uuid;
  amount: string;
  remaining: string;
  held: string;
  priority: number;
  category: GrantCategory;
  effective_at: string;
  expires_at: string | null;
  voided_at: string | null;
  announced_at: string | null;
  created_at: string;
}

export function toGrant(row: GrantRow): Grant {
  return {
    id: row.grant_id,
    accountId: row.account_id,
    transactionId: row.transaction_id,
    amount: BigInt(row.amount),
    remaining: BigInt(row.remaining),
    held: BigInt(row.held),
    priority: row.priority,
    category: row.category,
    effectiveAt: Number(row.effective_at),
    expiresAt: toInstantOrNull(row.expires_at),
    voidedAt: toInstantOrNull(row.voided_at),
    announcedAt: toInstantOrNull(row.announced_at),
    createdAt: Number(row.created_at),
  };
}

export interface HoldRow {
  hold_id: Uuid;
  account_id: Uuid;
  amount: string;
  remaining: string;
  captured: string;
  status: HoldStatus;
  reference: string;
  idempotency_key: string;
  fingerprint: Uuid;
  pins: [Uuid | null, string][];
  expires_at: string;
  created_at: string;
  updated_at: string;
}

export function toHold(row: HoldRow): Hold {
  return {
    id: row.hold_id,
    accountId: row.account_id,
    amount: BigInt(row.amount),
    remaining: BigInt(row.remaining),
    captured: BigInt(row.captured),
    status: row.status,
    reference: row.reference,
    key: row.idempotency_key,
    fingerprint: row.fingerprint,
    pins: row.pins.map(([grantId, amount]): Part => ({ grantId, amount: BigInt(amount) })),
    expiresAt: Number(row.expires_at),
    createdAt: Number(row.created_at),
    updatedAt: Number(row.updated_at),
  };
}

function toInstantOrNull(text: string | null): number | null {
  return text === null ? null : Number(text);
}
