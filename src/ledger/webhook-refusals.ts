import { refuse } from '../core/errors.js';

/** What is refused of webhooks. */

/** How many endpoints a store can have: each that wants an event costs its movement a row. */
export const ENDPOINTS_MAX = 20;

export const NO_WEBHOOK = refuse(
  'webhook_not_found',
  "There is no such webhook in this store. Check the webhook's id.",
);
export const NO_EVENT = refuse(
  'event_not_found',
  "This webhook has no such event, or no longer. Check the event's id.",
);
export const TOO_MANY = refuse(
  'webhook_limit_reached',
  `A store can have at most ${ENDPOINTS_MAX} webhooks. Delete one that is not used.`,
);
export const URL_REQUIRED = refuse('validation_error', 'url is required.', 'url');
export const DISABLED = refuse(
  'webhook_disabled',
  'This webhook is disabled and receives nothing. Enable it first.',
);
export const CLI_ONLY = refuse(
  'webhook_mode_mismatch',
  'Only a webhook with delivery_mode cli has a feed of pending events.',
);
export const HTTP_ONLY = refuse(
  'webhook_mode_mismatch',
  'Only events of a webhook with delivery_mode http can be sent again.',
);
