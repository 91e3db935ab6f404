import { RefusalError, refuse } from '../core/errors.js';
import type { OutboxEvent } from '../core/events/derive.js';
import type { EventType } from '../core/events/names.js';
import { eventBody, sampleObject } from '../core/events/payloads.js';
import { firstIdAt, lastIdAt, timeOf, type Uuid } from '../core/id.js';
import { invalidCursor } from '../core/lookup.js';
import type { Store } from '../core/model.js';
import type { Db, Engine } from '../store/engine/db.js';
import { newEventId, newId } from '../store/ids.js';
import {
  type Delivery,
  type DeliveryStatus,
  findOldestPending,
  listDeliveries,
  readDelivery,
  resend,
} from '../store/webhooks/deliveries.js';
import {
  deleteEndpoint,
  type Endpoint,
  type EndpointChanges,
  insertEndpoint,
  listEndpoints,
  readEndpoint,
  type SignatureScheme,
  updateEndpoint,
} from '../store/webhooks/endpoints.js';
import { addToOutbox, type DueEvent, readFresh, settleFresh } from '../store/webhooks/outbox.js';
import type { AddressGuard } from './delivery/address.js';
import type { AttemptCounts } from './delivery/attempted.js';
import { EndpointSecrets } from './endpoint-secrets.js';
import {
  CLI_ONLY,
  DISABLED,
  ENDPOINTS_MAX,
  HTTP_ONLY,
  NO_EVENT,
  NO_WEBHOOK,
  TOO_MANY,
  URL_REQUIRED,
} from './refusals.js';
import type { SecretKeys, SigningSecrets } from './secrets.js';
import { storable } from './storable.js';

/** How many deliveries one request can make due again. */
export const RESEND_MAX = 10_000;
/** How much of an acknowledged answer's body is kept, in characters. */
const ANSWER_KEPT = 1_000;
/** What stands for the URL of an endpoint that is polled and never called (contract 3.6). */
export const CLI_URL = 'creem-cli://listen';

const BY_OWNER = 'It was disabled over the API.';
const SETTLED: readonly DeliveryStatus[] = ['delivered', 'failed'];

export interface EndpointFields {
  readonly name: string | null;
  /** Ignored for `cli` endpoints. */
  readonly url: string | undefined;
  readonly deliveryMode: 'http' | 'cli';
  readonly events: readonly string[];
  readonly signature: SignatureScheme;
}

/**
 * The webhook endpoints of a store and their deliveries (contract 3.6).
 *
 * @throws {RefusalError} from every method, where the endpoint or the event is not there.
 */
export class Webhooks {
  /** Counted by the deliverer beside this ledger, where there is one. */
  readonly attempts: AttemptCounts = { success: 0, failure: 0 };
  readonly #engine: Engine;
  readonly #db: Db;
  readonly #guard: AddressGuard;
  readonly #secrets: EndpointSecrets;
  readonly #onEvents: () => void;

  constructor(engine: Engine, guard: AddressGuard, secretKeys: SecretKeys, onEvents: () => void) {
    this.#engine = engine;
    this.#secrets = new EndpointSecrets(engine.reader, secretKeys);
    this.#db = engine.reader;
    this.#guard = guard;
    this.#onEvents = onEvents;
  }

  list(store: Store): Promise<Endpoint[]> {
    return listEndpoints(this.#db, store.id);
  }

  async get(store: Store, id: Uuid): Promise<Endpoint> {
    return found(await readEndpoint(this.#db, store.id, id));
  }

  /** @throws {RefusalError} `invalid_webhook_url` with the reason, or `webhook_limit_reached`. */
  async create(
    store: Store,
    fields: EndpointFields,
  ): Promise<{ endpoint: Endpoint; secret: string }> {
    const { deliveryMode, name, events, signature } = fields;
    const id = newId();
    const url = deliveryMode === 'cli' ? CLI_URL : await this.#checkedUrl(fields.url);
    const { secret, stored: storedSecret } = this.#secrets.make({ storeId: store.id, id });
    const endpoint = {
      storeId: store.id,
      id,
      name,
      url,
      deliveryMode,
      status: 'enabled' as const,
      events: distinct(events),
      signature,
      storedSecret,
    };
    const stored = await this.#engine.onLane((lane) =>
      insertEndpoint(lane, endpoint, ENDPOINTS_MAX),
    );
    if (!stored) throw new RefusalError(TOO_MANY);
    return { endpoint: await this.get(store, id), secret };
  }

  /** Changes only what is given. */
  async update(store: Store, id: Uuid, changes: EndpointChanges): Promise<Endpoint> {
    if (changes.url !== undefined) {
      const { deliveryMode } = await this.get(store, id);
      if (deliveryMode === 'http') await this.#checkedUrl(changes.url);
    }
    const events = changes.events && distinct(changes.events);
    const changed = found(
      await updateEndpoint(this.#db, store.id, id, { ...changes, events }, BY_OWNER),
    );
    this.#onEvents();
    return changed;
  }

  /** Deletes an endpoint with its history; what waits for it is not sent any more. */
  async delete(store: Store, id: Uuid): Promise<Endpoint> {
    return found(await deleteEndpoint(this.#db, store.id, id));
  }

  /** @throws {RefusalError} also where the server lacks the key that it was sealed with. */
  async secret(store: Store, id: Uuid): Promise<string> {
    return this.#secrets.open(await this.get(store, id)).secret;
  }

  /** @param overlap for how many seconds the old secret signs as well. */
  rotate(store: Store, id: Uuid, overlap: number) {
    return this.#secrets.rotate({ storeId: store.id, id }, overlap);
  }

  /** The unacknowledged events of a `cli` endpoint, oldest first; none while it is disabled. */
  async pending(
    store: Store,
    id: Uuid,
    limit: number,
  ): Promise<{ secrets: SigningSecrets; events: DueEvent[] }> {
    const endpoint = cliOnly(await this.get(store, id));
    const secrets = this.#secrets.open(endpoint);
    if (endpoint.status === 'disabled') return { secrets, events: [] };
    return { secrets, events: await readFresh(this.#db, store.id, id, limit) };
  }

  /**
   * Notes how a forwarded event was answered. The first acknowledgement wins.
   *
   * @returns whether the first one was a success.
   */
  async acknowledge(
    store: Store,
    id: Uuid,
    eventId: Uuid,
    { status, text }: { status: number; text: string | null },
  ): Promise<boolean> {
    cliOnly(await this.get(store, id));
    const before = foundEvent(await this.#delivery(store, id, eventId));
    if (before.status === 'pending') {
      const delivered = status >= 200 && status < 300;
      const at = new Date().toISOString();
      await settleFresh(this.#db, store.id, id, [
        {
          eventId,
          status: delivered ? 'delivered' : 'failed',
          tries: 1,
          attempt: {
            at,
            latency_ms: 0,
            response_status: status,
            error: null,
            ...(text === null ? {} : { response_body: storable(text, ANSWER_KEPT) }),
          },
          delay: null,
        },
      ]);
    }
    return foundEvent(await this.#delivery(store, id, eventId)).status === 'delivered';
  }

  /** For how many milliseconds the oldest event of any store has waited for its first attempt. */
  async oldestPending(): Promise<number> {
    const eventId = await findOldestPending(this.#db);
    return eventId === undefined ? 0 : Math.max(Date.now() - timeOf(eventId), 0);
  }

  /** Sends a made-up movement to one endpoint, whatever events it asked for. */
  async test(store: Store, id: Uuid, type: 'credits.granted' | 'credits.consumed') {
    const endpoint = await this.get(store, id);
    if (endpoint.status === 'disabled') throw new RefusalError(DISABLED);
    const now = Date.now();
    const eventId = newEventId(now);
    const body = eventBody(eventId, type, now, sampleObject(type, now));
    const event: OutboxEvent = { endpointId: id, eventId, type, accountId: id, seq: 0, body };
    await addToOutbox(this.#db, store.id, event);
    this.#onEvents();
    return { eventId, type: type as EventType };
  }

  /** Newest first. @throws {RefusalError} also where the cursor is no event of this endpoint. */
  async deliveries(
    store: Store,
    id: Uuid,
    page: { status: DeliveryStatus | undefined; limit: number; after: Uuid | undefined },
  ): Promise<{ items: Delivery[]; more: boolean }> {
    await this.get(store, id);
    const { after } = page;
    if (after !== undefined && (await this.#delivery(store, id, after)) === undefined) {
      throw new RefusalError(invalidCursor('after'));
    }
    return listDeliveries(this.#db, store.id, id, page);
  }

  /** Makes one settled event due again; one that is still due stays as it is. */
  async resendOne(store: Store, id: Uuid, eventId: Uuid): Promise<Delivery> {
    httpOnly(await this.get(store, id));
    foundEvent(await this.#delivery(store, id, eventId));
    const range = { from: eventId, to: eventId, statuses: [...SETTLED, 'retrying'], limit: 1 };
    await resend(this.#db, store.id, id, range);
    this.#onEvents();
    return foundEvent(await this.#delivery(store, id, eventId));
  }

  /**
   * Makes the settled events of a span of time due again, the oldest first.
   *
   * @param span instants in milliseconds since the Unix epoch, both inclusive.
   * @returns how many, and whether there are more than one request may resend.
   */
  async resendMany(
    store: Store,
    id: Uuid,
    span: { from: number; to: number; status: 'failed' | 'delivered' | 'all' },
  ): Promise<{ count: number; more: boolean }> {
    httpOnly(await this.get(store, id));
    const ids = await resend(this.#db, store.id, id, {
      from: firstIdAt(span.from),
      to: lastIdAt(span.to),
      statuses: span.status === 'all' ? SETTLED : [span.status],
      limit: RESEND_MAX,
    });
    this.#onEvents();
    return { count: ids.length, more: ids.length === RESEND_MAX };
  }

  #delivery(store: Store, id: Uuid, eventId: Uuid): Promise<Delivery | undefined> {
    return readDelivery(this.#db, store.id, id, eventId);
  }

  async #checkedUrl(url: string | undefined): Promise<string> {
    if (url === undefined) throw new RefusalError(URL_REQUIRED);
    const target = await this.#guard.check(url);
    if (!('fault' in target)) return url;
    const message = `The webhook's url cannot be used: ${target.fault}.`;
    throw new RefusalError(refuse('invalid_webhook_url', message, 'url'));
  }
}

function found(endpoint: Endpoint | undefined): Endpoint {
  if (endpoint === undefined) throw new RefusalError(NO_WEBHOOK);
  return endpoint;
}

function foundEvent(delivery: Delivery | undefined): Delivery {
  if (delivery === undefined) throw new RefusalError(NO_EVENT);
  return delivery;
}

function cliOnly(endpoint: Endpoint): Endpoint {
  if (endpoint.deliveryMode !== 'cli') throw new RefusalError(CLI_ONLY);
  return endpoint;
}

function httpOnly(endpoint: Endpoint): Endpoint {
  if (endpoint.deliveryMode !== 'http') throw new RefusalError(HTTP_ONLY);
  return endpoint;
}

function distinct(events: readonly string[]): string[] {
  return [...new Set(events)];
}
