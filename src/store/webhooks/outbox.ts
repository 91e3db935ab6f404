import type { OutboxEvent } from '../../core/events/derive.js';
import type { Uuid } from '../../core/id.js';
import { type Db, plainColumn, type Statement, textColumn } from '../engine/db.js';

/**
 * The outbox and the deliveries. An event leaves the outbox at the end of its first attempt and
 * is a delivery from then on. Whoever holds the endpoint's lease does the attempts.
 */

/** An event that is to be attempted. */
export interface DueEvent {
  readonly eventId: Uuid;
  readonly type: string;
  readonly accountId: Uuid;
  readonly seq: number;
  readonly body: string;
  /** How many attempts of the schedule it has had; 0 means that it is still in the outbox. */
  readonly tries: number;
}

/** One attempt, as it is kept and shown. */
export interface Attempt {
  /** When it began, ISO 8601. */
  readonly at: string;
  /** How long it took, in milliseconds. */
  readonly latency_ms: number;
  /** The answer's HTTP status; null where there was none. */
  readonly response_status: number | null;
  /** Why there was no answer; null where there was one. */
  readonly error: string | null;
  /** The beginning of the answer's body, where an acknowledgement gave it. */
  readonly response_body?: string;
}

/** What an attempt came to. */
export interface Attempted {
  readonly eventId: Uuid;
  readonly status: 'delivered' | 'retrying' | 'failed';
  readonly tries: number;
  readonly attempt: Attempt;
  /** Milliseconds until the next attempt; null where there is none. */
  readonly delay: number | null;
}

/** Attempts beyond this many are forgotten, the oldest first. */
export const ATTEMPTS_KEPT = 20;

/**
 * Bodies are sent one a line, for JSON text never holds a line break. In an array literal each of
 * their quotes would be escaped, which costs as much as making them does.
 */
export function insertOutbox(storeId: Uuid, events: readonly OutboxEvent[]): Statement {
  return {
    text: `insert into tallystick.outbox (store_id, endpoint_id, event_id, type, account_id, seq, body)
      select $1, * from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[],
        string_to_array($7, E'\\n'))`,
    values: [
      storeId,
      plainColumn(events, ({ endpointId }) => endpointId),
      plainColumn(events, ({ eventId }) => eventId),
      plainColumn(events, ({ type }) => type),
      plainColumn(events, ({ accountId }) => accountId),
      plainColumn(events, ({ seq }) => seq),
      events.map(({ body }) => body).join('\n'),
    ],
  };
}

/** Reads events of an endpoint that are to be attempted, at most `limit` of them. */
export type ReadDue = (
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  limit: number,
) => Promise<DueEvent[]>;

/** The oldest events that have not been attempted, read from the key's start. */
export const readFresh: ReadDue = reader('0 as tries from tallystick.outbox', '', 'event_id');
/** The events whose next attempt is due. */
export const readDue: ReadDue = reader(
  'tries from tallystick.deliveries',
  'and due_at <= now()',
  'due_at',
);

function reader(source: string, condition: string, order: string): ReadDue {
  const text = `select event_id, type, account_id, seq::text as seq, body, ${source}
    where store_id = $1 and endpoint_id = $2 ${condition}
    order by store_id, endpoint_id, ${order} limit $3`;
  return async (db, storeId, endpointId, limit) => {
    const { rows } = await db.query(text, [storeId, endpointId, limit]);
    return rows.map(toDue);
  };
}

/** Moves events out of the outbox after their first attempt. What another has moved stays. */
export async function settleFresh(
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  results: readonly Attempted[],
): Promise<void> {
  await db.query(
    `with moved as (
        delete from tallystick.outbox o using ${RESULTS}
        where o.store_id = $1 and o.endpoint_id = $2 and o.event_id = r.event_id
        returning o.event_id, o.type, o.account_id, o.seq, o.body, r.status, r.tries, r.attempt,
          r.delay
      )
      insert into tallystick.deliveries (store_id, endpoint_id, event_id, type, account_id, seq,
        body, status, tries, attempts, due_at)
      select $1, $2, event_id, type, account_id, seq, body, status, tries,
        jsonb_build_array(attempt), ${DUE_AT}
      from moved cross join ${MOMENT} on conflict do nothing`,
    settleValues(storeId, endpointId, results),
  );
}

/**
 * Notes what later attempts came to. What another has settled stays, and so do the attempts that
 * another has noted since, unless it is known here that the event has arrived.
 */
export async function settleDue(
  db: Db,
  storeId: Uuid,
  endpointId: Uuid,
  results: readonly Attempted[],
): Promise<void> {
  await db.query(
    `update tallystick.deliveries d
      set status = r.status, tries = r.tries, due_at = ${DUE_AT},
        attempts = case when jsonb_array_length(d.attempts) < ${ATTEMPTS_KEPT}
          then d.attempts else d.attempts - 0 end || r.attempt
      from ${RESULTS} cross join ${MOMENT}
      where d.store_id = $1 and d.endpoint_id = $2 and d.event_id = r.event_id
        and d.due_at is not null and (d.tries < r.tries or r.status = 'delivered')`,
    settleValues(storeId, endpointId, results),
  );
}

const RESULTS = `unnest($3::uuid[], $4::text[], $5::smallint[], $6::jsonb[], $7::float8[])
  as r (event_id, status, tries, attempt, delay)`;
// In UTC and without a zone, because a sum of an instant with a zone depends on a setting, and
// Citus lets an UPDATE compute no such sum from a row's columns.
const MOMENT = "(select now() at time zone 'UTC' as utc) as moment";
const DUE_AT = "(moment.utc + delay * interval '1 millisecond') at time zone 'UTC'";

function settleValues(storeId: Uuid, endpointId: Uuid, results: readonly Attempted[]): unknown[] {
  return [
    storeId,
    endpointId,
    plainColumn(results, ({ eventId }) => eventId),
    plainColumn(results, ({ status }) => status),
    plainColumn(results, ({ tries }) => tries),
    textColumn(results, ({ attempt }) => JSON.stringify(attempt)),
    plainColumn(results, ({ delay }) => delay),
  ];
}

/** Puts one event into the outbox of one endpoint, such as a test event. */
export async function addToOutbox(db: Db, storeId: Uuid, event: OutboxEvent): Promise<void> {
  const { text, values } = insertOutbox(storeId, [event]);
  await db.query(text, values);
}

interface DueRow {
  event_id: Uuid;
  type: string;
  account_id: Uuid;
  seq: string;
  body: string;
  tries: number;
}

function toDue(row: DueRow): DueEvent {
  return {
    eventId: row.event_id,
    type: row.type,
    accountId: row.account_id,
    seq: Number(row.seq),
    body: row.body,
    tries: row.tries,
  };
}
