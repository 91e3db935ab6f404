import type { Keeping } from '../../core/funds/funds.js';
import type { ToCome } from '../../core/funds/to-come.js';
import type { Uuid } from '../../core/id.js';
import type { Grant, Hold, Void } from '../../core/model.js';
import { type Db, plainArray } from '../engine/db.js';
import { epoch, epochOf } from '../rows/columns.js';
import { grantStatus, holdStatus } from '../rows/ended.js';
import { GRANTS, HOLDS } from '../rows/rows.js';
import type { Selected } from '../rows/table.js';
import { MOMENT } from '../write/find.js';
import { type Listed, type Page, pageText, toPage, Where } from './accounts.js';
import { holdsEndedBy, toKeepings } from './position.js';

/** Reads of grants and holds. */

/** A page, and the instant at which all of it is as it is. */
export type ListedAt<Item> = Listed<Item> & { readonly now: number };

const NOW = '(select instant from moment)';

/** A hold, and the instant at which it is so: an instant read apart could be after its end. */
export async function readHold(
  db: Db,
  storeId: Uuid,
  id: Uuid,
): Promise<{ hold: Hold; now: number } | undefined> {
  const sql = `with ${MOMENT}
    select ${epochOf(NOW)} as now, ${HOLDS.list()}
    from tallystick.holds where store_id = $1 and hold_id = $2`;
  const { rows } = await db.query(sql, [storeId, id]);
  return rows[0] && { hold: HOLDS.read(rows[0]), now: Number(rows[0].now) };
}

export async function readGrant(db: Db, storeId: Uuid, id: Uuid): Promise<Grant | undefined> {
  const { rows } = await db.query(`${GRANTS.select} where store_id = $1 and grant_id = $2`, [
    storeId,
    id,
  ]);
  return rows[0] && GRANTS.read(rows[0]);
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

/** What is true of all that have a status as well, and has an index: as a rule they are few. */
type Narrower = Readonly<Record<string, string>>;
const NARROWER_HOLDS: Narrower = { open: "status = 'open'" };
const NARROWER_GRANTS: Narrower = { active: 'open', pending: 'open' };

interface OfAccount {
  readonly accountId: Uuid;
  readonly status: string | undefined;
}

export async function listHolds(
  db: Db,
  storeId: Uuid,
  filter: OfAccount,
  page: Page<Uuid>,
): Promise<ListedAt<Hold>> {
  const where = ofAccount(storeId, filter, holdStatus(NOW), NARROWER_HOLDS);
  const select = HOLDS.select;
  const { rows, now } = await readNow(db, pageText(select, where, 'hold_id', page), where);
  return {
    ...toPage(
      rows.map((row) => HOLDS.read(row)),
      page,
    ),
    now,
  };
}

/** The grants as they are stored, and beside them what they are to be settled with. */
export async function listGrants(
  db: Db,
  storeId: Uuid,
  filter: OfAccount,
  page: Page<Uuid>,
): Promise<ListedAt<Grant> & { readonly ended: readonly Keeping[] }> {
  const where = ofAccount(storeId, filter, grantStatus(NOW), NARROWER_GRANTS);
  const select = GRANTS.select;
  const text = pageText(select, where, 'grant_id', page);
  // As a rule there is none, and where no grant of the page is held, none is looked for.
  const holds = `case when exists (select from page where held <> '0')
    then ${holdsEndedBy(NOW)} end as holds`;
  const { rows, now, ended } = await readNow(db, text, where, holds);
  return {
    ...toPage(
      rows.map((row) => GRANTS.read(row)),
      page,
    ),
    now,
    ended: toKeepings(ended),
  };
}

/** Reads a page of an account's holds or grants in one statement with the instant that now is. */
async function readNow(db: Db, page: string, { values }: Where, beside = 'null as holds') {
  const { rows } = await db.query(
    `with ${MOMENT}, page as materialized (${page})
      select ${epochOf(NOW)} as now,
        (select coalesce(jsonb_agg(page), '[]') from page) as page, ${beside}`,
    values,
  );
  const { now, page: read, holds } = rows[0];
  return { now: Number(now), rows: read as Selected[], ended: holds as string | null };
}

function ofAccount(
  storeId: Uuid,
  { accountId, status }: OfAccount,
  statusSql: string,
  narrowerSql: Narrower,
): Where {
  const where = new Where(storeId);
  where.add('account_id =', accountId);
  if (status === undefined) return where;
  const narrower = narrowerSql[status];
  if (narrower !== undefined) where.also(narrower);
  where.add(`${statusSql} =`, status);
  return where;
}

/**
 * What of an account's credits was still to come at some instant between two: each grant from the
 * line that made it on, and what was taken back of it. None of it ever changes, so it may be read
 * after the lines that it is to be set against.
 *
 * @param span instants in milliseconds since the Unix epoch, both inclusive.
 */
export async function readToCome(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  span: { from: number; to: number },
): Promise<ToCome[]> {
  const { rows } = await db.query(
    `select moved.seq::text as seq, moved.amount::text as amount, ${epoch('effective_at', 'g')}
      from tallystick.grants as g
      cross join lateral (
        (select e.seq, g.amount from tallystick.entries as e
          where e.store_id = $1 and e.transaction_id = g.transaction_id and e.account_id = $2
            and e.amount > 0 limit 1)
        union all
        (select e.seq, -d.amount from tallystick.drawdowns as d
          cross join lateral (
            select seq, created_at from tallystick.entries
            where store_id = $1 and transaction_id = d.transaction_id and line = d.line limit 1
          ) as e
          where d.store_id = $1 and d.grant_id = g.grant_id and e.created_at < g.effective_at)
      ) as moved (seq, amount)
      where g.store_id = $1 and g.account_id = $2 and g.effective_at > g.created_at
        and g.effective_at > $3 and g.created_at <= $4`,
    [storeId, accountId, new Date(span.from).toISOString(), new Date(span.to).toISOString()],
  );
  return rows.map((row) => ({
    seq: Number(row.seq),
    amount: BigInt(row.amount),
    effectiveAt: Number(row.effective_at),
  }));
}
