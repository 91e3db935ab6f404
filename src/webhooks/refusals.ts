import { notFound, refuse } from '../core/errors.js';

/** What is refused of webhooks. */

/** How many endpoints a store can have: each that wants an event costs its movement a row. */
export const ENDPOINTS_MAX = 20;

export const SECRET_UNREADABLE = refuse(
  'secret_unreadable',
  'The signing secret of this webhook cannot be decrypted with the keys that the server has. Whoever runs it sets TALLYSTICK_SECRET_KEY; or rotate the secret with an overlap of 0 seconds.',
);
export const ROTATED_TOO_OFTEN = refuse(
  'overloaded',
  'The secret is being rotated by others at the same time. Try again after a moment.',
);
export const NO_WEBHOOK = notFound('webhook');
export const NO_EVENT = refuse(
  'event_not_found',
  "This webhook has no such event, or no longer. Check the event's id.",
);
export const TOO_MANY = refuse(
  'webhook_limit_reached',
  `A store can have at most ${ENDPOINTS_MAX} webhooks. Delete one that is not used.`,
);
export const URL_REQUIRED = refuse(
  'validation_error',
  'A webhook of the delivery mode http needs a URL. Send the one to post events to.',
  'url',
);
export const DISABLED = refuse(
  'webhook_disabled',
  'This webhook is disabled and receives nothing. Enable it first.',
);
export const CLI_ONLY = refuse(
  'webhook_mode_mismatch',
  'Only a webhook of the delivery mode cli has a feed of pending events.',
);
export const HTTP_ONLY = refuse(
  'webhook_mode_mismatch',
  'Only events of a webhook of the delivery mode http can be sent again.',
);
