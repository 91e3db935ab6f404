/** The names of events: Creem's and our own. */

/** Creem's closed enum (contract 3.2): an endpoint may name any, and most never happen here. */
export const CREEM_EVENTS = [
  'checkout.completed',
  'refund.created',
  'dispute.created',
  'subscription.active',
  'subscription.trialing',
  'subscription.canceled',
  'subscription.scheduled_cancel',
  'subscription.paid',
  'subscription.expired',
  'subscription.unpaid',
  'subscription.update',
  'subscription.past_due',
  'subscription.paused',
  'customer_credits.exhausted',
  'credits.granted',
  'credits.consumed',
  'credits.auto_recharged',
] as const;

/**
 * Events of our own. The official SDK refuses names that it does not know, so only an endpoint
 * that asks for one by name gets it.
 */
export const OWN_EVENTS = [
  'credits.reversed',
  'credits.expired',
  'credits.expiring',
  'credits.voided',
  'account.frozen',
  'account.unfrozen',
  'account.closed',
] as const;

export type EventType = (typeof CREEM_EVENTS)[number] | (typeof OWN_EVENTS)[number];

/** What an endpoint gets that names no events: what Creem's credits can tell (contract 3.6). */
export const DEFAULT_EVENTS: readonly EventType[] = ['credits.granted', 'credits.consumed'];
