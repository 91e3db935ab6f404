import { compareUse } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Grant, GrantCategory, Hold, HoldStatus, Part } from '../core/model.js';
import { plainArray, plainColumn, type Result, type Statement, textArray } from './db.js';
import { epoch } from './lock.js';
import { isoInstant } from './write.js';

/** What the write path reads of grants and holds; touched only by accounts that have them. */

export const GRANT_COLUMNS = `grant_id, account_id, transaction_id, amount::text as amount,
    remaining::text as remaining, priority, category,
    ${['effective_at', 'expires_at', 'voided_at', 'announced_at', 'created_at'].map((column) => epoch(column)).join(', ')}`;

export const SELECT_GRANT = `select ${GRANT_COLUMNS} from tallystick.grants`;

export const HOLD_COLUMNS = `hold_id, account_id, amount::text as amount,
    remaining::text as remaining, captured::text as captured, status, reference,
    idempotency_key, fingerprint, pins,
    ${['expires_at', 'created_at', 'updated_at'].map((column) => epoch(column)).join(', ')}`;

export const SELECT_HOLD = `select ${HOLD_COLUMNS} from tallystick.holds`;

/** What a batch may take from an account whose funds are more than one pool. */
export interface Reach {
  readonly accountId: Uuid;
  /** Infinity where it cannot be told ahead. */
  readonly taken: bigint | typeof Infinity;
  /** The instant at which it is taken. */
  readonly at: number;
}

/**
 * The open grants of accounts that commands can reach, and those that they name or that originals
 * made or drew, all in one text: as rows they would cost the driver more than all else.
 *
 * What a command reaches comes first in the order of use, which is that of `compareUse`, until it
 * covers what is taken; and what has ended is always read, because it is to be settled.
 */
export function findGrants(
  storeId: Uuid,
  reaches: readonly Reach[],
  grantIds: readonly Uuid[],
  transactionIds: readonly Uuid[],
): Statement {
  return {
    text: `select string_agg(concat_ws(' ', grant_id, account_id, transaction_id, amount,
        remaining, priority, category, effective_at, coalesce(expires_at, '-'),
        coalesce(voided_at, '-'), coalesce(announced_at, '-'), created_at, total), ',') as grants
      from (
        select ${GRANT_COLUMNS}, total::text as total
        from unnest($2::uuid[], $3::numeric[], $4::timestamptz[]) as reach (id, taken, at)
        cross join lateral (
          select *, sum(remaining) over () as total,
            coalesce(sum(remaining) filter (where ends_at > reach.at and effective_at <= reach.at)
              over (order by priority, expires_at nulls last, category = 'paid', effective_at,
                created_at, grant_id rows between unbounded preceding and 1 preceding), 0) as before
          from (
            select *, coalesce(least(expires_at, voided_at), 'infinity') as ends_at
            from tallystick.grants where store_id = $1 and account_id = reach.id and open offset 0
          ) as own
        ) as placed
        where before <= reach.taken or ends_at <= reach.at
        union all
        select g.*, null from unnest($5::uuid[]) as wanted (id)
          cross join lateral (${SELECT_GRANT} where store_id = $1 and grant_id = wanted.id
            limit 1) as g
        union all
        select g.*, null from unnest($6::uuid[]) as wanted (id)
          cross join lateral (${SELECT_GRANT} where store_id = $1
            and transaction_id = wanted.id offset 0) as g
      ) as g`,
    values: [
      storeId,
      plainColumn(reaches, ({ accountId }) => accountId),
      plainColumn(reaches, ({ taken }) => taken),
      plainColumn(reaches, ({ at }) => isoInstant(at)),
      plainArray(grantIds),
      plainArray(transactionIds),
    ],
  };
}

/** The grants, and by account what remains of open grants that were not read. */
export function toGrants(result: Result): { grants: Grant[]; unread: Map<Uuid, bigint> } {
  const packed = result.rows[0].grants as string | null;
  const grants: Grant[] = [];
  const unread = new Map<Uuid, bigint>();
  for (const line of packed?.split(',') ?? []) {
    const fields = line.split(' ');
    const grant = unpackGrant(fields);
    grants.push(grant);
    const total = fields[12];
    if (total === undefined) continue;
    const before = unread.get(grant.accountId) ?? BigInt(total);
    unread.set(grant.accountId, before - grant.remaining);
  }
  return { grants, unread };
}

function unpackGrant(fields: readonly string[]): Grant {
  const instant = (place: number) => (fields[place] === '-' ? null : Number(fields[place]));
  return {
    id: fields[0]!,
    accountId: fields[1]!,
    transactionId: fields[2]!,
    amount: BigInt(fields[3]!),
    remaining: BigInt(fields[4]!),
    priority: Number(fields[5]),
    category: fields[6] as GrantCategory,
    effectiveAt: Number(fields[7]),
    expiresAt: instant(8),
    voidedAt: instant(9),
    announcedAt: instant(10),
    createdAt: Number(fields[11]),
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
          and status = 'open' offset 0) as h
      union all
      select h.* from unnest($3::uuid[]) as wanted (id)
        cross join lateral (${SELECT_HOLD} where store_id = $1 and hold_id = wanted.id
          limit 1) as h
      union all
      select h.* from unnest($4::text[]) as wanted (key)
        cross join lateral (${SELECT_HOLD} where store_id = $1
          and idempotency_key = wanted.key limit 1) as h`,
    values: [storeId, plainArray(accountIds), plainArray(holdIds), textArray(keys)],
  };
}

/** Whose holds and grants these are; that never changes, so no lock is needed to know it. */
export function findOwners(
  storeId: Uuid,
  holdIds: readonly Uuid[],
  grantIds: readonly Uuid[],
): Statement {
  return {
    text: `select wanted.id, h.account_id from unnest($2::uuid[]) as wanted (id)
        cross join lateral (select account_id from tallystick.holds
          where store_id = $1 and hold_id = wanted.id limit 1) as h
      union all
      select wanted.id, g.account_id from unnest($3::uuid[]) as wanted (id)
        cross join lateral (select account_id from tallystick.grants
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

export function toOwners(result: Result): Map<Uuid, Uuid> {
  return new Map(result.rows.map(({ id, account_id }) => [id, account_id]));
}

export interface GrantRow {
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
