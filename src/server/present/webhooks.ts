import type { DeliveryBody, WebhookBody } from '../../contract/webhook-schema.js';
import { formatId, timeOf, type Uuid } from '../../core/id.js';
import type { Delivery, Endpoint, Store } from '../../ledger/index.js';
import { time } from './present.js';

/** Webhooks as the wire shows them (contract section 3.6). */

const LONG_FAILING_MS = 24 * 60 * 60 * 1000;

/** A live store is `prod` to the SDK, whose enum knows no `live`. */
export function presentWebhook(store: Store, endpoint: Endpoint): WebhookBody {
  const { failingSince, disabledAt } = endpoint;
  return {
    id: formatId('webhook', endpoint.id),
    mode: store.mode === 'live' ? 'prod' : 'test',
    object: 'webhook',
    store_id: formatId('store', store.id),
    name: endpoint.name,
    url: endpoint.url,
    delivery_mode: endpoint.deliveryMode,
    status: endpoint.status,
    events: [...endpoint.events],
    signature: endpoint.signature,
    health: healthOf(failingSince),
    failing_since: failingSince === null ? null : time(failingSince),
    disabled_reason: endpoint.disabledReason,
    disabled_at: disabledAt === null ? null : time(disabledAt),
    created_at: time(endpoint.createdAt),
  };
}

function healthOf(failingSince: number | null): WebhookBody['health'] {
  if (failingSince === null) return 'healthy';
  return Date.now() - failingSince >= LONG_FAILING_MS ? 'failing_for_a_day' : 'failing';
}

export function presentDelivery(webhookId: Uuid, delivery: Delivery): DeliveryBody {
  return {
    id: formatId('event', delivery.eventId),
    object: 'webhook_delivery',
    webhook_id: formatId('webhook', webhookId),
    event_type: delivery.type,
    status: delivery.status,
    created_at: time(timeOf(delivery.eventId)),
    next_attempt_at: delivery.dueAt === null ? null : time(delivery.dueAt),
    attempts: [...delivery.attempts],
    body: delivery.body,
  };
}

export function pagination(total: number, page: number, size: number) {
  const pages = Math.ceil(total / size);
  return {
    total_records: total,
    total_pages: pages,
    current_page: page,
    next_page: page < pages ? page + 1 : null,
    prev_page: page > 1 ? page - 1 : null,
  };
}
