import type { Beginning } from '../../core/funds/funds.js';
import type { Uuid } from '../../core/id.js';
import type { Grant, Hold } from '../../core/model.js';
import { plainArray, plainColumn, type Result, type Statement, textArray } from '../engine/db.js';
import { epochOf, isoInstant } from '../rows/columns.js';
import { dueGrant, endedHold } from '../rows/ended.js';
import { GRANTS, HOLDS } from '../rows/rows.js';

/**
 * What the write path reads of the grants and holds of accounts that have any: as much as the
 * commands of a batch can reach, and what is due. Nothing here reads all that an account has.
 */

export interface Reach {
  readonly accountId: Uuid;
  /** What the commands may take from what is free, all together. */
  readonly taken: bigint;
  /** The instant at which it is taken. */
  readonly at: number;
  /** The latest instant that the account can come to in this batch. */
  readonly until: number;
  /** Grants that end by then are to be announced; null where none is. */
  readonly announceUntil: number | null;
}

/** What commands name themselves. */
export interface Named {
  readonly grantIds: readonly Uuid[];
  readonly holdIds: readonly Uuid[];
  readonly holdKeys: readonly string[];
  /** Transactions whose grants are meant. */
  readonly transactionIds: readonly Uuid[];
}

/** How many rows are read of an account at most: in the order of use, and of what is due. */
export interface Bounds {
  readonly walked: number;
  /** Things that fell due at the instant of the last one come on top, so that none is torn. */
  readonly due: number;
}

const ORDER = `priority, expires_at, category = 'paid', effective_at, created_at, grant_id`;

/**
 * An account's open grants that meet a condition, along the index of the order of use, whose
 * columns the condition is on. Asking for that order and for a limit, though it cuts nothing off,
 * leaves the planner no other index: one by store and transaction looks as good to it where a store
 * has few accounts, and leads through all that the store has.
 */
const own = (condition: string, limit: string) => `(
      select * from tallystick.grants
      where store_id = $1 and account_id = reach.id and open and ${condition}
      order by ${ORDER} limit ${limit}
    )`;
const ENDED_HOLDS = `tallystick.holds
            where store_id = $1 and account_id = reach.id and ${endedHold('reach.until')}
            order by expires_at fetch first ($10) rows with ties`;
const REACHES = `unnest($2::uuid[], $3::numeric[], $4::timestamptz[], $5::timestamptz[],
          $6::timestamptz[]) as reach (id, taken, at, until, announce_until)`;

/** A limit that cuts nothing off. */
const ALL = Number.MAX_SAFE_INTEGER;
const WALKED = 'walked';
const ENDED = 'ended';

/**
 * Of what is free the first in the order of use, which is that of `compareUse`, until they cover
 * what is taken; what has ended; and what is to be announced. What is pending or ended is passed
 * over within the index, and the walk along it ends at a limit, for a sum cannot end a scan.
 */
const REACHED = `select ${GRANTS.list()}, '${WALKED}' as how from ${REACHES}
    cross join lateral (
      select *, coalesce(sum(remaining - held) filter (
          where effective_at <= reach.at and (expires_at <= reach.until) is not true)
        over (order by ${ORDER} rows between unbounded preceding and 1 preceding), 0) as before
      from ${own('free and effective_at <= reach.until and (expires_at <= reach.at) is not true', '$9')}
        as own
    ) as placed
    where before < reach.taken
    union all
    select ${GRANTS.list()}, '${ENDED}' from ${REACHES}
    cross join lateral (
      select * from ${own(dueGrant('reach.until'), '$12')} as own
      order by expires_at fetch first ($10) rows with ties
    ) as ended
    union all
    select ${GRANTS.list()}, '-' from ${REACHES}
    cross join lateral (
      select * from ${own('expires_at > reach.at and expires_at <= reach.announce_until', '$12')} as own
      where announced_at is null order by expires_at limit $10
    ) as near`;

/** What commands name, and what the holds keep that they name or that have ended. */
const NAMED = `select g.*, '-' from unnest($7::uuid[]) as wanted (id)
      cross join lateral (${GRANTS.select} where store_id = $1 and grant_id = wanted.id
        limit 1) as g
    union all
    select g.*, '-' from unnest($8::uuid[]) as wanted (id)
      cross join lateral (${GRANTS.select} where store_id = $1
        and transaction_id = wanted.id offset 0) as g
    union all
    select g.*, '-' from (
      select distinct pin ->> 0 as id from (
        select h.pins from ${REACHES} cross join lateral (select pins from ${ENDED_HOLDS}) as h
        union all
        select h.pins from unnest($11::uuid[]) as wanted (id) cross join lateral (
          select pins from tallystick.holds
          where store_id = $1 and hold_id = wanted.id limit 1) as h
      ) as keeping cross join lateral jsonb_array_elements(pins) as pin
    ) as kept
      cross join lateral (${GRANTS.select} where store_id = $1 and grant_id = kept.id::uuid
        limit 1) as g`;

/** The grants that commands can reach, all in one text: as rows they would cost the driver more. */
export function findGrants(
  storeId: Uuid,
  reaches: readonly Reach[],
  { grantIds, holdIds, transactionIds }: Named,
  bounds: Bounds,
): Statement {
  return {
    text: `select string_agg(how || ' ' || ${GRANTS.packed}, ',') as grants
      from (${REACHED} union all ${NAMED}) as g`,
    values: [
      storeId,
      ...columnsOf(reaches),
      plainArray(grantIds),
      plainArray(transactionIds),
      bounds.walked,
      bounds.due,
      plainArray(holdIds),
      ALL,
    ],
  };
}

function columnsOf(reaches: readonly Reach[]): string[] {
  return [
    plainColumn(reaches, ({ accountId }) => accountId),
    plainColumn(reaches, ({ taken }) => taken),
    plainColumn(reaches, ({ at }) => isoInstant(at)),
    plainColumn(reaches, ({ until }) => isoInstant(until)),
    plainColumn(reaches, ({ announceUntil }) =>
      announceUntil === null ? null : isoInstant(announceUntil),
    ),
  ];
}

/** All grants that were found, and among them those of the walk and those that have ended. */
export interface FoundGrants {
  readonly grants: ReadonlyMap<Uuid, Grant>;
  readonly walked: readonly Grant[];
  readonly ended: readonly Grant[];
}

export function toGrants(result: Result): FoundGrants {
  const packed = result.rows[0].grants as string | null;
  const grants = new Map<Uuid, Grant>();
  const walked: Grant[] = [];
  const ended: Grant[] = [];
  for (const line of packed?.split(',') ?? []) {
    const [how, ...fields] = line.split(' ');
    const grant = GRANTS.unpack(fields);
    grants.set(grant.id, grant);
    if (how === WALKED) walked.push(grant);
    else if (how === ENDED) ended.push(grant);
  }
  return { grants, walked, ended };
}

/** The open holds of accounts that have ended, and those that commands name by id or by key. */
export function findHolds(
  storeId: Uuid,
  reaches: readonly Reach[],
  { holdIds, holdKeys }: Named,
  { due }: Bounds,
): Statement {
  return {
    text: `select h.*, true as ended from unnest($2::uuid[], $3::timestamptz[]) as reach (id, until)
        cross join lateral (${HOLDS.select} where store_id = $1 and account_id = reach.id
          and ${endedHold('reach.until')}
          order by holds.expires_at fetch first ($6) rows with ties) as h
      union all
      select h.*, false from unnest($4::uuid[]) as wanted (id)
        cross join lateral (${HOLDS.select} where store_id = $1 and hold_id = wanted.id
          limit 1) as h
      union all
      select h.*, false from unnest($5::text[]) as wanted (key)
        cross join lateral (${HOLDS.select} where store_id = $1
          and idempotency_key = wanted.key limit 1) as h`,
    values: [
      storeId,
      plainColumn(reaches, ({ accountId }) => accountId),
      plainColumn(reaches, ({ until }) => isoInstant(until)),
      plainArray(holdIds),
      textArray(holdKeys),
      due,
    ],
  };
}

/** Those that were found because they have ended. */
export function endedHolds(result: Result): Hold[] {
  return result.rows.filter(({ ended }) => ended).map((row) => HOLDS.read(row));
}

/** What comes into effect of the free grants of accounts, by instant, after each one's newest. */
export function findPending(
  storeId: Uuid,
  accounts: readonly { readonly accountId: Uuid; readonly after: number; readonly until: number }[],
): Statement {
  return {
    text: `select reach.id as account_id, p.begins, p.amount::text as amount
      from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[]) as reach (id, after, until)
      cross join lateral (
        select case when effective_at <= reach.until
            then ${epochOf('effective_at')} end as begins,
          sum(remaining - held) as amount
        from ${own('free and effective_at > reach.after', '$5')} as own
        group by 1
      ) as p`,
    values: [
      storeId,
      plainColumn(accounts, ({ accountId }) => accountId),
      plainColumn(accounts, ({ after }) => isoInstant(after)),
      plainColumn(accounts, ({ until }) => isoInstant(until)),
      ALL,
    ],
  };
}

/** By account; what begins only after a batch has no instant that matters to it. */
export function toPending(result: Result): Map<Uuid, Beginning[]> {
  const pending = new Map<Uuid, Beginning[]>();
  for (const { account_id: accountId, begins, amount } of result.rows) {
    const own = pending.get(accountId) ?? [];
    own.push({ at: begins === null ? Infinity : Number(begins), amount: BigInt(amount) });
    pending.set(accountId, own);
  }
  return pending;
}
