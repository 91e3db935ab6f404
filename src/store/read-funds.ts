import { compareUse, type Funds } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Grant, Hold, Void } from '../core/model.js';
import { type Db, plainArray } from './db.js';
import { readClock, toInstant } from './find.js';
import { SELECT_GRANT, SELECT_HOLD, toGrant, toHold } from './funds.js';
import { type AccountRow, SELECT_ACCOUNT, toAccount } from './lock.js';
import { type Listed, type Page, pageOf, Where } from './read.js';

/** Reads of grants and holds. */

/** Everything an account's position is computed from, as of one snapshot. */
export async function readFunds(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
): Promise<(Funds & { now: number }) | undefined> {
  // One statement is one snapshot, and three would see three states of a busy account.
  const { rows } = await db.query(
    `select
      (select to_jsonb(a) from (${SELECT_ACCOUNT} where store_id = $1 and account_id = $2) a)
        as account,
      (select coalesce(jsonb_agg(g), '[]') from (${SELECT_GRANT} where store_id = $1
        and account_id = $2 and open) g) as grants,
      (select coalesce(jsonb_agg(h), '[]') from (${SELECT_HOLD} where store_id = $1
        and account_id = $2 and status = 'open') h) as holds,
      (${readClock(storeId).text}) as now`,
    [storeId, accountId],
  );
  const row = rows[0];
  if (row.account === null) return undefined;
  const account = toAccount(row.account as AccountRow);
  return {
    account,
    grants: row.grants.map(toGrant).sort(compareUse),
    holds: row.holds.map(toHold),
    // An account whose clock was set back lives on at its newest entry, as for every command.
    now: Math.max(toInstant({ rows }), account.postedAt),
  };
}

/**
 * What of the posted balance could not be used at an instant: what no hold kept of grants whose
 * expiry was due but is not posted yet, and what was left of grants that were still to come.
 */
export async function readUnusableAt(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  at: number,
): Promise<bigint> {
  const { rows } = await db.query(
    `select coalesce(sum(case
        when coalesce(least(expires_at, voided_at), 'infinity') <= $3 then remaining - (
          select coalesce(sum((pin ->> 1)::numeric), 0)
          from tallystick.holds as h cross join lateral jsonb_array_elements(h.pins) as pin
          where h.store_id = $1 and h.account_id = $2 and h.status = 'open'
            and h.expires_at > $3 and pin ->> 0 = g.grant_id::text)
        when effective_at > $3 then amount - (
          select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
          join tallystick.transactions as t
            on t.store_id = $1 and t.transaction_id = d.transaction_id
          where d.store_id = $1 and d.grant_id = g.grant_id and t.created_at <= $3)
        else 0 end), 0)::text as amount
      from tallystick.grants as g
      where store_id = $1 and account_id = $2 and created_at <= $3::timestamptz`,
    [storeId, accountId, new Date(at).toISOString()],
  );
  return BigInt(rows[0].amount);
}

export async function readHold(db: Db, storeId: Uuid, id: Uuid): Promise<Hold | undefined> {
  const { rows } = await db.query(`${SELECT_HOLD} where store_id = $1 and hold_id = $2`, [
    storeId,
    id,
  ]);
  return rows[0] && toHold(rows[0]);
}

export async function readGrant(db: Db, storeId: Uuid, id: Uuid): Promise<Grant | undefined> {
  const { rows } = await db.query(`${SELECT_GRANT} where store_id = $1 and grant_id = $2`, [
    storeId,
    id,
  ]);
  return rows[0] && toGrant(rows[0]);
}

/**
 * What the voids of these grants took at once, by grant; none of it ever changes. A grant of which
 * holds kept all is left out, and so is one that is not voided.
 */
export async function readVoids(
  db: Db,
  storeId: Uuid,
  grantIds: readonly Uuid[],
): Promise<Map<Uuid, Void>> {
  if (grantIds.length === 0) return new Map();
  const { rows } = await db.query(
    `select wanted.id, v.transaction_id, v.amount from unnest($2::uuid[]) as wanted (id)
      cross join lateral (
        select d.transaction_id, d.amount::text as amount from tallystick.grants as g
        join tallystick.drawdowns as d on d.store_id = $1 and d.grant_id = g.grant_id
          and d.transaction_id = g.void_transaction_id
        where g.store_id = $1 and g.grant_id = wanted.id limit 1
      ) as v`,
    [storeId, plainArray(grantIds)],
  );
  return new Map(
    rows.map((row) => [row.id, { transactionId: row.transaction_id, amount: BigInt(row.amount) }]),
  );
}

export async function readNow(db: Db, storeId: Uuid): Promise<number> {
  const { text, values } = readClock(storeId);
  return toInstant(await db.query(text, values));
}

/** How an open object is told from one that has ended, whether or not that is settled yet. */
const HOLD_STATUS = `case when status = 'open' and expires_at <= $3 then 'expired' else status end`;
const GRANT_STATUS = `case when voided_at is not null then 'voided'
  when expires_at <= $3 then 'expired' when remaining = 0 then 'depleted'
  when effective_at > $3 then 'pending' else 'active' end`;

export async function listHolds(
  db: Db,
  storeId: Uuid,
  filter: { accountId: Uuid; status: string | undefined; now: number },
  page: Page<Uuid>,
): Promise<Listed<Hold>> {
  const where = ofAccount(storeId, filter, HOLD_STATUS);
  const { items, more } = await pageOf(db, SELECT_HOLD, where, 'hold_id', page);
  return { items: items.map((row) => toHold(row as Parameters<typeof toHold>[0])), more };
}

export async function listGrants(
  db: Db,
  storeId: Uuid,
  filter: { accountId: Uuid; status: string | undefined; now: number },
  page: Page<Uuid>,
): Promise<Listed<Grant>> {
  const where = ofAccount(storeId, filter, GRANT_STATUS);
  const { items, more } = await pageOf(db, SELECT_GRANT, where, 'grant_id', page);
  return { items: items.map((row) => toGrant(row as Parameters<typeof toGrant>[0])), more };
}

function ofAccount(
  storeId: Uuid,
  { accountId, status, now }: { accountId: Uuid; status: string | undefined; now: number },
  statusSql: string,
): Where {
  const where = new Where(storeId);
  where.add('account_id =', accountId);
  if (status !== undefined) {
    where.values.push(new Date(now).toISOString());
    where.add(`${statusSql.replace('$3', `$${where.values.length}`)} =`, status);
  }
  return where;
}
