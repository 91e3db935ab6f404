import { operation } from './operation.js';
import { listOf, noBody, noQuery } from './schema.js';
import * as wire from './webhook-schema.js';

const WEBHOOKS = '/v1/webhooks';
const ONE = `${WEBHOOKS}/:id`;

const read = { query: noQuery, body: noBody, method: 'get', scope: 'webhooks:read' } as const;
const write = { query: noQuery, body: noBody, method: 'post', scope: 'webhooks:write' } as const;
const NOT_FOUND = 'webhook_not_found' as const;
const NO_EVENT = 'event_not_found' as const;
const UNREADABLE = 'secret_unreadable' as const;
const WRONG_MODE = 'webhook_mode_mismatch' as const;

/**
 * Creem's webhook management, whose every success is 200 (contract section 3.6), and after it
 * what we add under the same resource.
 */
export const WEBHOOK_OPERATIONS = {
  listWebhooks: operation({
    ...read,
    path: WEBHOOKS,
    summary: 'List webhooks, newest first',
    query: wire.listWebhooksQuery,
    answer: wire.webhookList,
    status: 200,
    errors: [],
  }),
  createWebhook: operation({
    ...write,
    path: WEBHOOKS,
    summary: 'Create a webhook; the answer shows its secret',
    body: wire.createWebhookBody,
    answer: wire.webhook,
    status: 200,
    errors: ['invalid_webhook_url', 'webhook_limit_reached'],
  }),
  getWebhook: operation({
    ...read,
    path: ONE,
    summary: 'Get a webhook',
    answer: wire.webhook,
    status: 200,
    errors: [NOT_FOUND],
  }),
  updateWebhook: operation({
    ...write,
    method: 'patch',
    path: ONE,
    summary: 'Change a webhook; what is not sent stays',
    body: wire.updateWebhookBody,
    answer: wire.webhook,
    status: 200,
    errors: ['invalid_webhook_url', NOT_FOUND],
  }),
  deleteWebhook: operation({
    ...write,
    method: 'delete',
    path: ONE,
    summary: 'Delete a webhook with its delivery history',
    answer: wire.webhook,
    status: 200,
    errors: [NOT_FOUND],
  }),
  getWebhookSecret: operation({
    ...read,
    // Whoever has it can sign events in our name.
    scope: 'webhooks:write',
    path: `${ONE}/secret`,
    summary: "Get a webhook's signing secret",
    answer: wire.webhookSecret,
    status: 200,
    errors: [NOT_FOUND, UNREADABLE],
  }),
  listPendingWebhookEvents: operation({
    ...read,
    path: `${ONE}/events/pending`,
    summary: 'List what a cli webhook has not acknowledged, oldest first',
    query: wire.pendingQuery,
    answer: wire.pendingEvents,
    status: 200,
    errors: [NOT_FOUND, WRONG_MODE, UNREADABLE],
  }),
  acknowledgeWebhookEvent: operation({
    ...write,
    path: `${ONE}/events/:event_id/ack`,
    summary: 'Acknowledge an event of a cli webhook; the first time counts',
    body: wire.acknowledgeBody,
    answer: wire.acknowledged,
    status: 200,
    errors: [NOT_FOUND, NO_EVENT, WRONG_MODE],
  }),
  rotateWebhookSecret: operation({
    ...write,
    path: `${ONE}/secret/rotate`,
    summary: 'Make a new secret; the old one signs as well for a while',
    body: wire.rotateBody,
    answer: wire.rotatedSecret,
    status: 200,
    errors: [NOT_FOUND, UNREADABLE, 'overloaded'],
  }),
  sendWebhookTestEvent: operation({
    ...write,
    path: `${ONE}/test`,
    summary: 'Send a made-up event to a webhook',
    body: wire.testBody,
    answer: wire.sentEvent,
    status: 200,
    errors: [NOT_FOUND, 'webhook_disabled'],
  }),
  listWebhookDeliveries: operation({
    ...read,
    path: `${ONE}/deliveries`,
    summary: 'List deliveries with their attempts, newest first',
    query: wire.listDeliveriesQuery,
    answer: listOf(wire.delivery),
    status: 200,
    errors: ['invalid_cursor', NOT_FOUND],
  }),
  resendWebhookEvent: operation({
    ...write,
    path: `${ONE}/events/:event_id/resend`,
    summary: 'Send an event again',
    answer: wire.delivery,
    status: 200,
    errors: [NOT_FOUND, NO_EVENT, WRONG_MODE],
  }),
  resendWebhookEvents: operation({
    ...write,
    path: `${ONE}/resend`,
    summary: 'Send the events of a span of time again, at most 10,000, the oldest first',
    body: wire.resendBody,
    answer: wire.resent,
    status: 200,
    errors: [NOT_FOUND, WRONG_MODE],
  }),
} as const;
