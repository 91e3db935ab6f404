import { compareUse } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Account, Grant, GrantCategory, Hold, HoldStatus, Part } from '../core/model.js';
import {
  jsonColumn,
  plainArray,
  plainColumn,
  type Result,
  type Statement,
  textColumn,
} from './db.js';
import { epoch } from './lock.js';
import { isoInstant } from './write.js';

/** Reading and writing grants, drawdowns and holds; touched only by accounts that have them. */

export const SELECT_GRANT = `select grant_id, account_id, transaction_id, amount::text as amount,
    remaining::text as remaining, priority, category,
    ${['effective_at', 'expires_at', 'voided_at', 'announced_at', 'created_at'].map((column) => epoch(column)).join(', ')}
  from tallystick.grants`;

export const SELECT_HOLD = `select hold_id, account_id, amount::text as amount,
    remaining::text as remaining, captured::text as captured, status, reference,
    idempotency_key, fingerprint, pins,
    ${['expires_at', 'created_at', 'updated_at'].map((column) => epoch(column)).join(', ')}
  from tallystick.holds`;

/** The open grants of accounts, and those that commands name or that originals made or drew. */
export function findGrants(
  storeId: Uuid,
  accountIds: readonly Uuid[],
  grantIds: readonly Uuid[],
  transactionIds: readonly Uuid[],
): Statement {
  return {
    text: `select g.* from unnest($2::uuid[]) as wanted (id)
        cross join lateral (${SELECT_GRANT} where store_id = $1 and account_id = wanted.id
          and remaining > 0) as g
      union all
      select g.* from unnest($3::uuid[]) as wanted (id)
        cross join lateral (${SELECT_GRANT} where store_id = $1 and grant_id = wanted.id) as g
      union all
      select g.* from unnest($4::uuid[]) as wanted (id)
        cross join lateral (${SELECT_GRANT} where store_id = $1 and transaction_id = wanted.id) as g`,
    values: [storeId, plainArray(accountIds), plainArray(grantIds), plainArray(transactionIds)],
  };
}

/** The open holds of accounts, and those that commands name by id or by key. */
export function findHolds(
  storeId: Uuid,
  accountIds: readonly Uuid[],
  holdIds: readonly Uuid[],
  keys: readonly string[],
): Statement {
  return {
    text: `select h.* from unnest($2::uuid[]) as wanted (id)
        cross join lateral (${SELECT_HOLD} where store_id = $1 and account_id = wanted.id
          and status = 'open') as h
      union all
      select h.* from unnest($3::uuid[]) as wanted (id)
        cross join lateral (${SELECT_HOLD} where store_id = $1 and hold_id = wanted.id) as h
      union all
      select h.* from unnest($4::text[]) as wanted (key)
        cross join lateral (${SELECT_HOLD} where store_id = $1
          and idempotency_key = wanted.key) as h`,
    values: [storeId, plainArray(accountIds), plainArray(holdIds), textColumn(keys, (key) => key)],
  };
}

/** Whose holds and grants these are; that never changes, so no lock is needed to know it. */
export function findOwners(
  storeId: Uuid,
  holdIds: readonly Uuid[],
  grantIds: readonly Uuid[],
): Statement {
  return {
    text: `select hold_id as id, account_id from tallystick.holds
        where store_id = $1 and hold_id = any($2::uuid[])
      union all
      select grant_id, account_id from tallystick.grants
        where store_id = $1 and grant_id = any($3::uuid[])`,
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

export function upsertGrants(storeId: Uuid, grants: readonly Grant[]): Statement {
  return {
    text: `insert into tallystick.grants (store_id, grant_id, account_id, transaction_id, amount,
        remaining, priority, category, effective_at, expires_at, voided_at, announced_at,
        created_at)
      select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[],
        $7::smallint[], $8::text[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
        $12::timestamptz[], $13::timestamptz[])
      on conflict (store_id, grant_id) do update set remaining = excluded.remaining,
        voided_at = excluded.voided_at, announced_at = excluded.announced_at`,
    values: [
      storeId,
      plainColumn(grants, ({ id }) => id),
      plainColumn(grants, ({ accountId }) => accountId),
      plainColumn(grants, ({ transactionId }) => transactionId),
      plainColumn(grants, ({ amount }) => amount),
      plainColumn(grants, ({ remaining }) => remaining),
      plainColumn(grants, ({ priority }) => priority),
      plainColumn(grants, ({ category }) => category),
      plainColumn(grants, ({ effectiveAt }) => isoInstant(effectiveAt)),
      plainColumn(grants, ({ expiresAt }) => optional(expiresAt)),
      plainColumn(grants, ({ voidedAt }) => optional(voidedAt)),
      plainColumn(grants, ({ announcedAt }) => optional(announcedAt)),
      plainColumn(grants, ({ createdAt }) => isoInstant(createdAt)),
    ],
  };
}

export function insertDrawdowns(
  storeId: Uuid,
  drawdowns: readonly { transactionId: Uuid; line: number; grantId: Uuid; amount: bigint }[],
): Statement {
  return {
    text: `insert into tallystick.drawdowns (store_id, transaction_id, line, grant_id, amount)
      select $1, * from unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::numeric[])`,
    values: [
      storeId,
      plainColumn(drawdowns, ({ transactionId }) => transactionId),
      plainColumn(drawdowns, ({ line }) => line),
      plainColumn(drawdowns, ({ grantId }) => grantId),
      plainColumn(drawdowns, ({ amount }) => amount),
    ],
  };
}

export function upsertHolds(storeId: Uuid, holds: readonly Hold[]): Statement {
  return {
    text: `insert into tallystick.holds (store_id, hold_id, account_id, amount, remaining,
        captured, status, reference, idempotency_key, fingerprint, pins, expires_at, created_at,
        updated_at)
      select $1, * from unnest($2::uuid[], $3::uuid[], $4::numeric[], $5::numeric[],
        $6::numeric[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::jsonb[],
        $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])
      on conflict (store_id, hold_id) do update set remaining = excluded.remaining,
        captured = excluded.captured, status = excluded.status, pins = excluded.pins,
        expires_at = excluded.expires_at, updated_at = excluded.updated_at`,
    values: [
      storeId,
      plainColumn(holds, ({ id }) => id),
      plainColumn(holds, ({ accountId }) => accountId),
      plainColumn(holds, ({ amount }) => amount),
      plainColumn(holds, ({ remaining }) => remaining),
      plainColumn(holds, ({ captured }) => captured),
      plainColumn(holds, ({ status }) => status),
      textColumn(holds, ({ reference }) => reference),
      textColumn(holds, ({ key }) => key),
      plainColumn(holds, ({ fingerprint }) => fingerprint),
      jsonColumn(holds, ({ pins }) => pins.map(({ grantId, amount }) => [grantId, `${amount}`])),
      plainColumn(holds, ({ expiresAt }) => isoInstant(expiresAt)),
      plainColumn(holds, ({ createdAt }) => isoInstant(createdAt)),
      plainColumn(holds, ({ updatedAt }) => isoInstant(updatedAt)),
    ],
  };
}

/** Stores what grants and holds change of their accounts. */
export function updateFunds(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `update tallystick.accounts as a set held = v.held, open_grants = v.open_grants,
        open_holds = v.open_holds, has_grants = v.has_grants
      from unnest($2::uuid[], $3::numeric[], $4::integer[], $5::integer[], $6::boolean[])
        as v (id, held, open_grants, open_holds, has_grants)
      where a.store_id = $1 and a.account_id = v.id`,
    values: [
      storeId,
      plainColumn(accounts, ({ id }) => id),
      plainColumn(accounts, ({ held }) => held),
      plainColumn(accounts, ({ openGrants }) => openGrants),
      plainColumn(accounts, ({ openHolds }) => openHolds),
      plainColumn(accounts, ({ hasGrants }) => String(hasGrants)),
    ],
  };
}

function optional(instant: number | null): string | null {
  return instant === null ? null : isoInstant(instant);
}

export function toOwners(result: Result): Map<Uuid, Uuid> {
  return new Map(result.rows.map(({ id, account_id }) => [id, account_id]));
}

interface GrantRow {
  grant_id: Uuid;
  account_id: Uuid;
  transaction_id: Uuid;
  amount: string;
  remaining: string;
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
    priority: row.priority,
    category: row.category,
    effectiveAt: Number(row.effective_at),
    expiresAt: toInstantOrNull(row.expires_at),
    voidedAt: toInstantOrNull(row.voided_at),
    announcedAt: toInstantOrNull(row.announced_at),
    createdAt: Number(row.created_at),
  };
}

interface HoldRow {
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
