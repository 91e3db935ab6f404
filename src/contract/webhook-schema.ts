import { z } from 'zod';
import { CREEM_EVENTS, OWN_EVENTS } from '../core/events/names.js';
import {
  exactInstant,
  isStorable,
  limit,
  name,
  PAGE_DEFAULT,
  PAGE_MAX,
  UNSTORED,
} from './fields.js';

/** Webhooks on the wire (contract section 3.6); fields that Creem lacks are marked as such. */

const EVENTS_MAX = 50;
const URL_MAX = 2_048;
const PENDING_DEFAULT = 50;
const PAGES_MAX = 1_000;
const ACK_BODY_MAX = 10_000;
const OVERLAP_S_DEFAULT = 24 * 60 * 60;
const OVERLAP_S_MAX = 7 * OVERLAP_S_DEFAULT;

const url = z
  .string()
  .max(URL_MAX, `must have at most ${URL_MAX} characters`)
  .refine(isStorable, UNSTORED)
  .meta({ description: 'Where events are posted to; https.', examples: ['https://example.com/h'] });

const eventType = z.enum([...CREEM_EVENTS, ...OWN_EVENTS], 'is not an event that exists');
const events = z
  .array(eventType)
  .max(EVENTS_MAX, `must have at most ${EVENTS_MAX} items`)
  .meta({ description: "Empty for all of Creem's credits events; our own must be named." });

const signature = z.enum(['creem', 'standard', 'both']).meta({
  description:
    'An extension: creem-signature, the webhook-* headers of Standard Webhooks, or both.',
});

export const listWebhooksQuery = z.strictObject({
  page_number: limit(PAGES_MAX, 1),
  page_size: limit(PAGE_MAX, PAGE_DEFAULT),
});

export const createWebhookBody = z.strictObject({
  url: url.optional(),
  delivery_mode: z.enum(['http', 'cli']).default('http'),
  name: name.nullable().default(null),
  events: events.default([]),
  signature: signature.default('creem'),
});

export const updateWebhookBody = z.strictObject({
  url: url.optional(),
  name: name.nullable().optional(),
  status: z.enum(['enabled', 'disabled']).optional(),
  events: events.optional(),
  signature: signature.optional(),
});

export const pendingQuery = z.strictObject({ limit: limit(PAGE_MAX, PENDING_DEFAULT) });

export const acknowledgeBody = z.strictObject({
  status_code: z.int().min(100).max(599),
  response_body: z.string().max(ACK_BODY_MAX).nullable().optional(),
});

export const rotateBody = z.strictObject({
  overlap_seconds: z.int().min(0).max(OVERLAP_S_MAX).default(OVERLAP_S_DEFAULT),
});

export const testBody = z.strictObject({
  event_type: z.enum(['credits.granted', 'credits.consumed']).default('credits.granted'),
});

const deliveryStatus = z.enum(['pending', 'delivered', 'retrying', 'failed']);

export const listDeliveriesQuery = z.strictObject({
  status: deliveryStatus.optional(),
  limit: limit(PAGE_MAX, PAGE_DEFAULT),
  starting_after: z.string().max(64, 'is not an id').optional(),
});

export const resendBody = z.strictObject({
  from: exactInstant,
  to: exactInstant.optional(),
  status: z.enum(['failed', 'delivered', 'all']).default('failed'),
});

const time = z.string().meta({ format: 'date-time' });

export const webhook = z
  .object({
    id: z.string().meta({ examples: ['wh_06BQkPqZ5dYvXoTt1n2x8W'] }),
    mode: z.enum(['test', 'prod']),
    object: z.literal('webhook'),
    store_id: z.string(),
    name: z.string().nullable(),
    url: z.string(),
    delivery_mode: z.enum(['http', 'cli']),
    status: z.enum(['enabled', 'disabled']),
    events: z.array(z.string()),
    secret: z.string().optional().meta({ description: 'Only where it was just created.' }),
    signature,
    health: z.enum(['healthy', 'failing', 'failing_for_a_day']),
    failing_since: time.nullable(),
    disabled_reason: z.string().nullable().meta({
      description: 'Why it is disabled. Its events are kept meanwhile, and delivered once enabled.',
    }),
    disabled_at: time.nullable().meta({ description: 'Since when it is disabled.' }),
    created_at: time,
  })
  .meta({ id: 'Webhook' });

export const webhookList = z.object({
  items: z.array(webhook),
  pagination: z.object({
    total_records: z.int(),
    total_pages: z.int(),
    current_page: z.int(),
    next_page: z.int().nullable(),
    prev_page: z.int().nullable(),
  }),
});

export const webhookSecret = z.object({ secret: z.string() });

export const rotatedSecret = z.object({
  secret: z.string(),
  previous_secret_expires_at: time.nullable(),
});

export const pendingEvents = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      object: z.literal('webhook_event'),
      event_type: z.string(),
      created_at: time,
      body: z.string(),
      headers: z.record(z.string(), z.string()),
    }),
  ),
});

export const acknowledged = z.object({
  id: z.string(),
  object: z.literal('webhook_event'),
  success: z.boolean(),
});

export const sentEvent = z.object({
  id: z.string(),
  object: z.literal('webhook_event'),
  event_type: z.string(),
});

export const delivery = z
  .object({
    id: z.string().meta({ description: "The event's id.", examples: ['evt_06BQkPqZ5dYvXoTt1n2x'] }),
    object: z.literal('webhook_delivery'),
    webhook_id: z.string(),
    event_type: z.string(),
    status: deliveryStatus,
    created_at: time,
    next_attempt_at: time.nullable(),
    attempts: z.array(
      z.object({
        at: time,
        latency_ms: z.int(),
        response_status: z.int().nullable(),
        error: z.string().nullable(),
        response_body: z.string().optional().meta({
          description: "The beginning of what a cli endpoint's acknowledgement gave as the answer.",
        }),
      }),
    ),
    body: z.string(),
  })
  .meta({ id: 'WebhookDelivery' });

export const resent = z.object({
  object: z.literal('webhook_resend'),
  count: z.int(),
  has_more: z.boolean(),
});

export type WebhookBody = z.infer<typeof webhook>;
export type DeliveryBody = z.infer<typeof delivery>;
