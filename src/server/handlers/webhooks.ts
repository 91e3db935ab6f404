import { parseInstant } from '../../contract/fields.js';
import type { OperationName } from '../../contract/operations.js';
import type { WEBHOOK_OPERATIONS } from '../../contract/webhook-operations.js';
import { RefusalError } from '../../core/errors.js';
import { formatId, parseId, timeOf, type Uuid } from '../../core/id.js';
import { invalidCursor, NO_EVENT, signedHeaders } from '../../ledger/index.js';
import { time } from '../present/present.js';
import { pagination, presentDelivery, presentWebhook } from '../present/webhooks.js';
import type { Handlers } from './handlers.js';
import { webhookId } from './ids.js';

export type WebhookHandlers = Pick<Handlers, OperationName & keyof typeof WEBHOOK_OPERATIONS>;

export const WEBHOOK_HANDLERS: WebhookHandlers = {
  listWebhooks: async ({ ledger, store, query }) => {
    const all = await ledger.webhooks.list(store);
    const { page_number: page, page_size: size } = query;
    const items = all.slice((page - 1) * size, page * size);
    return {
      body: {
        items: items.map((endpoint) => presentWebhook(store, endpoint)),
        pagination: pagination(all.length, page, size),
      },
    };
  },

  createWebhook: async ({ ledger, store, body }) => {
    const { name, url, events, signature } = body;
    const deliveryMode = body.delivery_mode;
    const fields = { name: trimmed(name), url, deliveryMode, events, signature };
    const { endpoint, secret } = await ledger.webhooks.create(store, fields);
    return { body: { ...presentWebhook(store, endpoint), secret } };
  },

  getWebhook: async ({ ledger, store, params }) => ({
    body: presentWebhook(store, await ledger.webhooks.get(store, webhookId(params.id))),
  }),

  updateWebhook: async ({ ledger, store, params, body }) => {
    const { name } = body;
    const changes = name === undefined ? body : { ...body, name: trimmed(name) };
    const endpoint = await ledger.webhooks.update(store, webhookId(params.id), changes);
    return { body: presentWebhook(store, endpoint) };
  },

  deleteWebhook: async ({ ledger, store, params }) => ({
    body: presentWebhook(store, await ledger.webhooks.delete(store, webhookId(params.id))),
  }),

  getWebhookSecret: async ({ ledger, store, params }) => {
    return { body: { secret: await ledger.webhooks.secret(store, webhookId(params.id)) } };
  },

  listPendingWebhookEvents: async ({ ledger, store, params, query }) => {
    const id = webhookId(params.id);
    const { secrets, events } = await ledger.webhooks.pending(store, id, query.limit);
    // Forwarded events may be old, and the standard scheme's time would have passed (3.4).
    const signer = { ...secrets, signature: 'creem' as const };
    const items = events.map((event) => ({
      id: formatId('event', event.eventId),
      object: 'webhook_event' as const,
      event_type: event.type,
      created_at: time(timeOf(event.eventId)),
      body: event.body,
      headers: {
        'Content-Type': 'application/json',
        ...signedHeaders(signer, event, Date.now())[0]!,
      },
    }));
    return { body: { items } };
  },

  acknowledgeWebhookEvent: async ({ ledger, store, params, body }) => {
    const id = webhookId(params.id);
    const event = eventId(params.event_id);
    const success = await ledger.webhooks.acknowledge(store, id, event, {
      status: body.status_code,
      text: body.response_body ?? null,
    });
    return { body: { id: params.event_id!, object: 'webhook_event', success } };
  },

  rotateWebhookSecret: async ({ ledger, store, params, body }) => {
    const id = webhookId(params.id);
    const { secret, previousSecretUntil } = await ledger.webhooks.rotate(
      store,
      id,
      body.overlap_seconds,
    );
    const until = previousSecretUntil === null ? null : time(previousSecretUntil);
    return { body: { secret, previous_secret_expires_at: until } };
  },

  sendWebhookTestEvent: async ({ ledger, store, params, body }) => {
    const id = webhookId(params.id);
    const sent = await ledger.webhooks.test(store, id, body.event_type);
    const event = formatId('event', sent.eventId);
    return { body: { id: event, object: 'webhook_event', event_type: sent.type } };
  },

  listWebhookDeliveries: async ({ ledger, store, params, query }) => {
    const id = webhookId(params.id);
    const { status, limit, starting_after: cursor } = query;
    const after = cursor === undefined ? undefined : parseId('event', cursor);
    if (cursor !== undefined && after === undefined) {
      throw new RefusalError(invalidCursor('after'));
    }
    const { items, more } = await ledger.webhooks.deliveries(store, id, { status, limit, after });
    const data = items.map((delivery) => presentDelivery(id, delivery));
    return { body: { object: 'list', data, has_more: more } };
  },

  resendWebhookEvent: async ({ ledger, store, params }) => {
    const id = webhookId(params.id);
    const delivery = await ledger.webhooks.resendOne(store, id, eventId(params.event_id));
    return { body: presentDelivery(id, delivery) };
  },

  resendWebhookEvents: async ({ ledger, store, params, body }) => {
    const { count, more } = await ledger.webhooks.resendMany(store, webhookId(params.id), {
      from: parseInstant(body.from)!,
      to: body.to === undefined ? Date.now() : parseInstant(body.to)!,
      status: body.status,
    });
    return { body: { object: 'webhook_resend', count, has_more: more } };
  },
};

function trimmed(name: string | null): string | null {
  return name === null ? null : name.trim();
}

function eventId(text: string | undefined): Uuid {
  const id = text === undefined ? undefined : parseId('event', text);
  if (id === undefined) throw new RefusalError(NO_EVENT);
  return id;
}
