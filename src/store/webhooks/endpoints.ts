import type { Uuid } from '../../core/id.js';
import { type Db, type Lane, textArray } from '../engine/db.js';
import { epoch } from '../rows/columns.js';

/** Webhook endpoints. */

export type SignatureScheme = 'creem' | 'standard' | 'both';

export interface Endpoint {
  readonly storeId: Uuid;
  readonly id: Uuid;
  readonly name: string | null;
  readonly url: string;
  readonly deliveryMode: 'http' | 'cli';
  readonly status: 'enabled' | 'disabled';
  /** Empty for what `DEFAULT_EVENTS` holds. */
  readonly events: readonly string[];
  readonly signature: SignatureScheme;
  /** As it is stored: plain text or sealed. */
  readonly storedSecret: string;
  /** Signs as well until then; null where there is none any more. */
  readonly storedPreviousSecret: string | null;
  readonly previousSecretUntil: number | null;
  /** Why it is disabled, and since when; null where it is enabled. */
  readonly disabledReason: string | null;
  readonly disabledAt: number | null;
  /** Since when every attempt has failed; null after a success. */
  readonly failingSince: number | null;
  readonly createdAt: number;
}

const INSTANTS = ['previous_secret_until', 'failing_since', 'disabled_at', 'created_at'];
const COLUMNS = `store_id, endpoint_id, name, url, delivery_mode, status,
  array_to_string(events, ' ') as events, signature, secret,
  case when previous_secret_until > now() then previous_secret end as previous_secret,
  ${INSTANTS.map((column) => epoch(column)).join(', ')}, disabled_reason`;

const SELECT = `select ${COLUMNS} from tallystick.webhook_endpoints`;

// What one statement changed is read from its rows, because Citus lets a RETURNING call nothing
// that depends on the time or on a setting, and a SET call it in no CASE and with no column.
const STORED = `store_id, endpoint_id, name, url, delivery_mode, status, events, signature, secret,
  previous_secret, ${INSTANTS.join(', ')}, disabled_reason`;
/** The instant of a statement, for its SET. */
const MOMENT = '(select now() as instant) as moment';

/** How long one who creates an endpoint waits for others who do; on Citus each is slow. */
const CREATION_MS_MAX = 1_000;

/** A statement that answers with the endpoints that `change` wrote or removed. */
export function returningEndpoint(change: string): string {
  return `with changed as (${change} returning ${STORED}) select ${COLUMNS} from changed`;
}

/**
 * Stores an endpoint; false where the store has `limit` of them already. Those who create in one
 * store wait for each other at its row, and only then count, so that no two count the same.
 */
export async function insertEndpoint(
  lane: Lane,
  endpoint: Omit<
    Endpoint,
    | 'storedPreviousSecret'
    | 'previousSecretUntil'
    | 'disabledReason'
    | 'disabledAt'
    | 'failingSince'
    | 'createdAt'
  >,
  limit: number,
): Promise<boolean> {
  const { inserted } = await lane.transaction({
    patience: { text: `set local lock_timeout = ${CREATION_MS_MAX}` },
    locked: {
      text: 'select 1 from tallystick.stores where store_id = $1 for no key update',
      values: [endpoint.storeId],
    },
    inserted: {
      text: `insert into tallystick.webhook_endpoints (store_id, endpoint_id, name, url,
          delivery_mode, status, events, signature, secret)
        select $1, $2, $3, $4, $5, $6, $7::text[], $8, $9
        where (select count(*) from tallystick.webhook_endpoints where store_id = $1) < $10
        returning 1`,
      values: [
        endpoint.storeId,
        endpoint.id,
        endpoint.name,
        endpoint.url,
        endpoint.deliveryMode,
        endpoint.status,
        textArray(endpoint.events),
        endpoint.signature,
        endpoint.storedSecret,
        limit,
      ],
    },
  });
  return inserted.rows.length > 0;
}

export async function readEndpoint(db: Db, storeId: Uuid, id: Uuid): Promise<Endpoint | undefined> {
  const sql = `${SELECT} where store_id = $1 and endpoint_id = $2`;
  const { rows } = await db.query(sql, [storeId, id]);
  return rows[0] && toEndpoint(rows[0]);
}

/** All endpoints of a store, newest first: there are few (`webhook_limit_reached`). */
export async function listEndpoints(db: Db, storeId: Uuid): Promise<Endpoint[]> {
  const sql = `${SELECT} where store_id = $1 order by endpoint_id desc`;
  const { rows } = await db.query(sql, [storeId]);
  return rows.map(toEndpoint);
}

/** What people can change of an endpoint; what is left out stays. */
export interface EndpointChanges {
  readonly name?: string | null | undefined;
  /** Ignored for `cli` endpoints. */
  readonly url?: string | undefined;
  readonly status?: Endpoint['status'] | undefined;
  readonly events?: readonly string[] | undefined;
  readonly signature?: SignatureScheme | undefined;
}

/**
 * Writes what was given and nothing else, in one statement, so that of two changes at once
 * neither is lost. Enabling it clears why it was disabled.
 *
 * @param reason why it is disabled, where that is a change.
 */
export async function updateEndpoint(
  db: Db,
  storeId: Uuid,
  id: Uuid,
  { name, url, status, events, signature }: EndpointChanges,
  reason: string,
): Promise<Endpoint | undefined> {
  const { rows } = await db.query(
    returningEndpoint(`update tallystick.webhook_endpoints set
        name = case when $3::boolean then $4::text else name end,
        url = case when delivery_mode = 'http' then coalesce($5::text, url) else url end,
        status = coalesce($6::text, status),
        events = coalesce($7::text[], events),
        signature = coalesce($8::text, signature),
        disabled_reason = case when $6::text = 'enabled' then null
          when $6::text <> status then $9 else disabled_reason end,
        disabled_at = case when $6::text = 'enabled' then null
          when $6::text <> status then moment.instant else disabled_at end,
        updated_at = moment.instant
      from ${MOMENT} where store_id = $1 and endpoint_id = $2`),
    [
      storeId,
      id,
      name !== undefined,
      name ?? null,
      url ?? null,
      status ?? null,
      events === undefined ? null : textArray(events),
      signature ?? null,
      reason,
    ],
  );
  return rows[0] && toEndpoint(rows[0]);
}

export interface NewSecret {
  /** What is stored as its secret so far. */
  readonly replaces: string;
  readonly secret: string;
  /** The old secret as it is stored from now on; null where it signs no more. */
  readonly previous: string | null;
  /** For how many seconds the old one signs as well. */
  readonly overlap: number;
}

/** Gives an endpoint a new secret; undefined where the old one has changed meanwhile. */
export async function rotateSecret(
  db: Db,
  storeId: Uuid,
  id: Uuid,
  { replaces, secret, previous, overlap }: NewSecret,
): Promise<Endpoint | undefined> {
  const { rows } = await db.query(
    returningEndpoint(`update tallystick.webhook_endpoints set secret = $4, previous_secret = $5::text,
        previous_secret_until = case when $5::text is not null
          then moment.until end,
        updated_at = moment.instant
      from (select now() as instant, now() + $6::float8 * interval '1 second' as until) as moment
      where store_id = $1 and endpoint_id = $2 and secret = $3`),
    [storeId, id, replaces, secret, previous, overlap],
  );
  return rows[0] && toEndpoint(rows[0]);
}

/** Removes an endpoint. Its events are swept away later, in batches (`findOrphans`). */
export async function deleteEndpoint(
  db: Db,
  storeId: Uuid,
  id: Uuid,
): Promise<Endpoint | undefined> {
  const { rows } = await db.query(
    returningEndpoint(
      'delete from tallystick.webhook_endpoints where store_id = $1 and endpoint_id = $2',
    ),
    [storeId, id],
  );
  return rows[0] && toEndpoint(rows[0]);
}

/** Disables an endpoint that says that it is gone; false where it was disabled already. */
export async function disableEndpoint(
  db: Db,
  storeId: Uuid,
  id: Uuid,
  reason: string,
): Promise<boolean> {
  const { rows } = await db.query(
    `update tallystick.webhook_endpoints
      set status = 'disabled', disabled_reason = $3, disabled_at = now(), updated_at = now()
      where store_id = $1 and endpoint_id = $2 and status = 'enabled' returning 1`,
    [storeId, id, reason],
  );
  return rows.length > 0;
}

/** Notes that an endpoint has begun to fail, or that it answers again. */
export async function markFailing(
  db: Db,
  storeId: Uuid,
  id: Uuid,
  failing: boolean,
): Promise<void> {
  await db.query(
    `update tallystick.webhook_endpoints
      set failing_since = case when $3::boolean then coalesce(failing_since, moment.instant) end
      from ${MOMENT} where store_id = $1 and endpoint_id = $2`,
    [storeId, id, failing],
  );
}

export interface EndpointRow {
  store_id: Uuid;
  endpoint_id: Uuid;
  name: string | null;
  url: string;
  delivery_mode: 'http' | 'cli';
  status: 'enabled' | 'disabled';
  events: string;
  signature: SignatureScheme;
  secret: string;
  previous_secret: string | null;
  previous_secret_until: string | null;
  disabled_reason: string | null;
  disabled_at: string | null;
  failing_since: string | null;
  created_at: string;
}

export function toEndpoint(row: EndpointRow): Endpoint {
  const instant = (text: string | null) => (text === null ? null : Number(text));
  return {
    storeId: row.store_id,
    id: row.endpoint_id,
    name: row.name,
    url: row.url,
    deliveryMode: row.delivery_mode,
    status: row.status,
    events: row.events === '' ? [] : row.events.split(' '),
    signature: row.signature,
    storedSecret: row.secret,
    storedPreviousSecret: row.previous_secret,
    previousSecretUntil: row.previous_secret === null ? null : instant(row.previous_secret_until),
    disabledReason: row.disabled_reason,
    disabledAt: instant(row.disabled_at),
    failingSince: instant(row.failing_since),
    createdAt: Number(row.created_at),
  };
}
