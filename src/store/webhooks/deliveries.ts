import type { Uuid } from '../../core/id.js';
import type { Db } from '../engine/db.js';
import type { Attempt } from './outbox.js';

/** What people look at and repair: the deliveries of an endpoint, and their age. */

export type DeliveryStatus = 'pending' | 'delivered' | 'retrying' | 'failed';

export interface Delivery {
  readonly eventId: Uuid;
  readonly type: string;
  readonly status: DeliveryStatus;
  /** Oldest first. */
  readonly attempts: readonly Attempt[];
  /** When the next attempt is due; null where there is none. */
  readonly dueAt: number | null;
  readonly body: string;
}

const COLUMNS = 'event_id, type, status, attempts, due_at, body';
const ALL = `(select store_id, endpoint_id, event_id, type, 'pending' as status, '[]'::jsonb as attempts,
      null::timestamptz as due_at, body from tallystick.outbox
    union all
    select store_id, endpoint_id, ${COLUMNS} from tallystick.deliveries) as d`;
const SHOWN = `event_id, type, status, attempts::text as attempts, body,
  (extract(epoch from due_at) * 1000)::bigint::text as due_at`;

/** Newest first; a cursor is the id of an event. */
export async function listDeliveries(
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  page: { status: DeliveryStatus | undefined; limit: number; after: Uuid | undefined },
): Promise<{ items: Delivery[]; more: boolean }> {
  const { rows } = await db.query(
    `select ${SHOWN} from ${ALL}
      where store_id = $1 and endpoint_id = $2 and ($3::text is null or status = $3)
        and ($4::uuid is null or event_id < $4)
      order by event_id desc limit $5`,
    [storeId, endpointId, page.status ?? null, page.after ?? null, page.limit + 1],
  );
  return { items: rows.slice(0, page.limit).map(toDelivery), more: rows.length > page.limit };
}

export async function readDelivery(
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  eventId: Uuid,
): Promise<Delivery | undefined> {
  const { rows } = await db.query(
    `select ${SHOWN} from ${ALL} where store_id = $1 and endpoint_id = $2 and event_id = $3`,
    [storeId, endpointId, eventId],
  );
  return rows[0] && toDelivery(rows[0]);
}

/**
 * The oldest event that waits to be posted for the first time, by one look-up an endpoint. Stores
 * with a clock of their own are left out, for their events have no age.
 */
export async function findOldestPending(db: Db): Promise<Uuid | undefined> {
  const { rows } = await db.query(
    `select first.event_id from tallystick.webhook_endpoints e
      join tallystick.stores s on s.store_id = e.store_id and s.clock is null
      cross join lateral (
        select o.event_id from tallystick.outbox o
        where o.store_id = e.store_id and o.endpoint_id = e.endpoint_id
        order by o.event_id limit 1
      ) as first
      where e.status = 'enabled' and e.delivery_mode = 'http'
      order by first.event_id limit 1`,
  );
  return rows[0]?.event_id;
}

/**
 * Makes settled deliveries due again, with a schedule that starts anew; at most `limit` of them,
 * the oldest first.
 *
 * @returns the ids of the events.
 */
export async function resend(
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  range: { from: Uuid; to: Uuid; statuses: readonly string[]; limit: number },
): Promise<Uuid[]> {
  const { rows } = await db.query(
    `update tallystick.deliveries set status = 'retrying', tries = 1, due_at = now()
      where store_id = $1 and endpoint_id = $2 and event_id in (
        select event_id from tallystick.deliveries
        where store_id = $1 and endpoint_id = $2 and event_id >= $3 and event_id <= $4
          and status = any (string_to_array($5, ' '))
        order by event_id limit $6)
      returning event_id`,
    [storeId, endpointId, range.from, range.to, range.statuses.join(' '), range.limit],
  );
  return rows.map((row) => row.event_id);
}

/** Removes rows up to an event's id, at most `limit` of them. @returns how many went. */
export type Remove = (
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  before: Uuid,
  limit: number,
) => Promise<number>;

/** Deliveries that are not due again. */
export const removeSettled: Remove = remover('deliveries', 'and due_at is null');
/** All deliveries, also those that are due: of endpoints that are gone or disabled. */
export const removeDeliveries: Remove = remover('deliveries', '');
/** Events that nobody has fetched or attempted. */
export const removeUnattempted: Remove = remover('outbox', '');

function remover(table: 'deliveries' | 'outbox', condition: string): Remove {
  const text = `with gone as (
      delete from tallystick.${table}
      where store_id = $1 and endpoint_id = $2 and event_id in (
        select event_id from tallystick.${table}
        where store_id = $1 and endpoint_id = $2 and event_id < $3 ${condition}
        order by event_id limit $4)
      returning 1)
    select count(*)::int as count from gone`;
  return async (db, storeId, endpointId, before, limit) => {
    const { rows } = await db.query(text, [storeId, endpointId, before, limit]);
    return rows[0].count;
  };
}

/** Endpoints that are gone and whose rows are not: found by one look-up an endpoint. */
export async function findOrphans(db: Db, storeId: Uuid): Promise<Uuid[]> {
  const { rows } = await db.query(
    `with recursive walk (id) as (
        select (${nextOf(null)})
        union all
        select (${nextOf('walk.id')}) from walk where walk.id is not null
      )
      select id from walk where id is not null and not exists (
        select 1 from tallystick.webhook_endpoints e
        where e.store_id = $1 and e.endpoint_id = walk.id)`,
    [storeId],
  );
  return rows.map((row) => row.id);
}

/** The smallest endpoint id of either table after another one. */
function nextOf(after: string | null): string {
  const one = (table: string) =>
    `(select endpoint_id from tallystick.${table} where store_id = $1${
      after === null ? '' : ` and endpoint_id > ${after}`
    } order by endpoint_id limit 1)`;
  return `select least(${one('outbox')}, ${one('deliveries')})`;
}

interface DeliveryRow {
  event_id: Uuid;
  type: string;
  status: DeliveryStatus;
  attempts: string;
  due_at: string | null;
  body: string;
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    eventId: row.event_id,
    type: row.type,
    status: row.status,
    attempts: JSON.parse(row.attempts),
    dueAt: row.due_at === null ? null : Number(row.due_at),
    body: row.body,
  };
}
