import type { Uuid } from '../../core/id.js';
import type { Db } from '../engine/db.js';
import { epochOf } from '../rows/columns.js';
import { dueGrant, endedHold } from '../rows/ended.js';
import { MOMENT } from '../write/find.js';

/** A test store's own time; each store has its own row, so no clock moves another. */

/** @param instant null returns the store to real time. */
export async function setClock(db: Db, storeId: Uuid, instant: number | null): Promise<void> {
  await db.query("update tallystick.stores set clock = $2 where store_id = $1 and mode = 'test'", [
    storeId,
    instant === null ? null : new Date(instant).toISOString(),
  ]);
}

/** @returns whether it was moved, which it is not where it would pass `max`. */
export async function advanceClock(
  db: Db,
  storeId: Uuid,
  seconds: number,
  max: number,
): Promise<boolean> {
  // Without a zone, and the time from the side: Citus lets an UPDATE compute from a row's columns
  // only what depends on neither a setting nor the time.
  const advanced = `((coalesce(clock, moment.instant) at time zone 'UTC')
    + $2::integer * interval '1 second') at time zone 'UTC'`;
  const { rows } = await db.query(
    `update tallystick.stores set clock = ${advanced}
      from (select date_trunc('milliseconds', now()) as instant) as moment
      where store_id = $1 and mode = 'test' and ${advanced} <= $3::timestamptz
      returning 1`,
    [storeId, seconds, new Date(max).toISOString()],
  );
  return rows.length > 0;
}

export async function readClockOf(db: Db, storeId: Uuid): Promise<{ now: number; real: boolean }> {
  const { rows } = await db.query(
    `with ${MOMENT}
      select ${epochOf('instant')} as now, clock is null as real
      from moment, tallystick.stores where store_id = $1`,
    [storeId],
  );
  return { now: Number(rows[0].now), real: rows[0].real };
}

/**
 * The accounts on which something has fallen due: a hold or a grant has ended, or the end of a
 * grant is near and has not been announced. An ended grant of which holds keep all is not free:
 * it would be found in vain until they end, and then they are what has fallen due. The condition
 * on the amount is always true: it admits the index of what is due in a whole store.
 */
export async function findDueAccounts(
  db: Db,
  storeId: Uuid,
  { now, announceUntil, limit }: { now: number; announceUntil: number; limit: number },
): Promise<Uuid[]> {
  const { rows } = await db.query(
    `select account_id from tallystick.grants
        where store_id = $1 and ${dueGrant('$2::timestamptz')}
      union select account_id from tallystick.grants
        where store_id = $1 and open and announced_at is null
          and expires_at > $2::timestamptz and expires_at <= $3::timestamptz
      union select account_id from tallystick.holds
        where store_id = $1 and ${endedHold('$2::timestamptz')} and amount > 0
      limit $4`,
    [storeId, new Date(now).toISOString(), new Date(announceUntil).toISOString(), limit],
  );
  return rows.map(({ account_id }) => account_id);
}
