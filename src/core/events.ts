import { formatId, type Uuid } from './id.js';
import type { Account, Entry, Grant, Store, Transaction } from './model.js';
import { amountsOf, type Standing } from './standing.js';

/**
 * What is told to webhook endpoints, derived from what a batch came to (contract section 3).
 * Pure: the ids of events come in from outside.
 */

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

/** An endpoint and what it asked for; an empty list stands for `DEFAULT_EVENTS`. */
export interface Subscription {
  readonly endpointId: Uuid;
  readonly events: readonly string[];
}

/** An event on its way to one endpoint. */
export interface OutboxEvent {
  readonly endpointId: Uuid;
  /** The same for every endpoint and every attempt. */
  readonly eventId: Uuid;
  readonly type: EventType;
  readonly accountId: Uuid;
  /** The account's version right after the event: its events are told in this order. */
  readonly seq: number;
  /** The exact text that is signed and sent. */
  readonly body: string;
}

type NewEventId = (createdAt: number) => Uuid;

/** Something that came true in a batch. */
export type Happening =
  | {
      readonly kind: 'posted';
      readonly transaction: Transaction;
      readonly standings: readonly Standing[];
    }
  | { readonly kind: 'restated'; readonly standing: Standing }
  | { readonly kind: 'expiring'; readonly grant: Grant; readonly account: Account };

/**
 * Derives the events of a batch, in the order of what happened, for the endpoints that want them.
 *
 * @param newEventId makes an id that sorts after all earlier ones of the same instant.
 */
export function deriveEvents(
  store: Store,
  happenings: readonly Happening[],
  subscriptions: readonly Subscription[],
  newEventId: NewEventId,
): OutboxEvent[] {
  if (subscriptions.length === 0) return [];
  const outbox = new Outbox(subscriptions, newEventId);
  for (const happening of happenings) {
    switch (happening.kind) {
      case 'posted':
        tellTransaction(outbox, happening.transaction, happening.standings);
        break;
      case 'restated':
        tellStatus(outbox, store, happening.standing);
        break;
      case 'expiring':
        tellExpiring(outbox, happening.grant, happening.account);
    }
  }
  return outbox.events;
}

class Outbox {
  readonly events: OutboxEvent[] = [];
  readonly #subscriptions: readonly Subscription[];
  readonly #newEventId: NewEventId;
  readonly #wanted = new Map<EventType, readonly Uuid[]>();

  constructor(subscriptions: readonly Subscription[], newEventId: NewEventId) {
    this.#subscriptions = subscriptions;
    this.#newEventId = newEventId;
  }

  wants(type: EventType): boolean {
    return this.#endpoints(type).length > 0;
  }

  add(type: EventType, createdAt: number, account: Account, seq: number, object: object): void {
    const eventId = this.#newEventId(createdAt);
    const body = eventBody(eventId, type, createdAt, object);
    for (const endpointId of this.#endpoints(type)) {
      this.events.push({ endpointId, eventId, type, accountId: account.id, seq, body });
    }
  }

  #endpoints(type: EventType): readonly Uuid[] {
    let endpoints = this.#wanted.get(type);
    if (endpoints === undefined) {
      endpoints = this.#subscriptions
        .filter(({ events }) => (events.length === 0 ? DEFAULT_EVENTS : events).includes(type))
        .map(({ endpointId }) => endpointId);
      this.#wanted.set(type, endpoints);
    }
    return endpoints;
  }
}

/** The envelope (contract 3.1); `created_at` is milliseconds since the Unix epoch. */
export function eventBody(
  eventId: Uuid,
  type: EventType,
  createdAt: number,
  object: object,
): string {
  const id = formatId('event', eventId);
  return JSON.stringify({ id, eventType: type, created_at: createdAt, object });
}

function tellTransaction(
  outbox: Outbox,
  transaction: Transaction,
  standings: readonly Standing[],
): void {
  for (const standing of standings) {
    const { account } = standing;
    const { net, last } = movementOf(transaction, account.id);
    if (net === 0n || last === undefined) continue;
    const type = typeOf(transaction, net);
    if (!outbox.wants(type)) continue;
    const moved: Moved = { ...standing, net };
    outbox.add(type, transaction.createdAt, account, last.seq!, payload(type, transaction, moved));
  }
}

/** The net of an account, and its newest line, whose place is that of the event. */
function movementOf({ entries }: Transaction, accountId: Uuid) {
  let net = 0n;
  let last: Entry | undefined;
  for (const entry of entries) {
    if (entry.accountId !== accountId || entry.seq === null) continue;
    net += entry.amount;
    if (last === undefined || entry.seq > last.seq!) last = entry;
  }
  return { net, last };
}

/** Reversals emit neither granted nor consumed (contract 2.6). */
function typeOf({ operation }: Transaction, net: bigint): EventType {
  if (operation === 'reverse') return 'credits.reversed';
  if (operation === 'expire') return 'credits.expired';
  if (operation === 'void') return 'credits.voided';
  return net > 0n ? 'credits.granted' : 'credits.consumed';
}

interface Moved extends Standing {
  readonly net: bigint;
}

const OBJECTS: { readonly [Type in EventType]?: string } = {
  'credits.granted': 'customer_credits_grant',
  'credits.consumed': 'customer_credits_consumption',
  'credits.reversed': 'customer_credits_reversal',
  'credits.expired': 'customer_credits_expiry',
  'credits.voided': 'customer_credits_void',
};

/** The fields of contract 3.2; a reversal has two more, since its direction is not in its type. */
function payload(type: EventType, transaction: Transaction, moved: Moved): object {
  const { account, net } = moved;
  const { balance, available } = amountsOf(moved);
  const { reversalOf, description } = transaction;
  return {
    id: formatId('transaction', transaction.id),
    object: OBJECTS[type],
    customer_id: account.customerId,
    account_id: formatId('account', account.id),
    bucket_name: account.name,
    unit_label: account.unitLabel,
    amount_minor_units: (net < 0n ? -net : net).toString(),
    balance_after_minor_units: balance,
    available_after_minor_units: available,
    reference: transaction.reference,
    ...(description === null ? {} : { description }),
    occurred_at: new Date(transaction.createdAt).toISOString(),
    ...(reversalOf === null
      ? {}
      : {
          reversal_of: formatId('transaction', reversalOf),
          side: net < 0n ? 'debit' : 'credit',
        }),
  };
}

const STATUS_EVENTS = {
  frozen: 'account.frozen',
  active: 'account.unfrozen',
  closed: 'account.closed',
} as const;

function tellStatus(outbox: Outbox, store: Store, standing: Standing): void {
  const { account } = standing;
  const type = STATUS_EVENTS[account.status];
  if (!outbox.wants(type)) return;
  const { balance, available } = amountsOf(standing);
  const occurredAt = new Date(account.updatedAt).toISOString();
  outbox.add(type, account.updatedAt, account, account.version, {
    id: formatId('account', account.id),
    object: 'customer_credits_account',
    store_id: formatId('store', store.id),
    customer_id: account.customerId,
    bucket_name: account.name,
    unit_label: account.unitLabel,
    status: account.status,
    balance_minor_units: balance,
    available_minor_units: available,
    occurred_at: occurredAt,
  });
}

/** Told once for a grant, ahead of its expiry: what would be lost if it were now. */
function tellExpiring(outbox: Outbox, grant: Grant, account: Account): void {
  if (!outbox.wants('credits.expiring')) return;
  const { announcedAt, expiresAt } = grant;
  outbox.add('credits.expiring', announcedAt!, account, account.version, {
    id: formatId('grant', grant.id),
    object: 'customer_credits_grant_expiring',
    customer_id: account.customerId,
    account_id: formatId('account', account.id),
    bucket_name: account.name,
    unit_label: account.unitLabel,
    amount_minor_units: grant.remaining.toString(),
    expires_at: new Date(expiresAt!).toISOString(),
    occurred_at: new Date(announcedAt!).toISOString(),
  });
}

/** A made-up movement that a test event tells of; its ids lead nowhere. */
export function sampleObject(type: 'credits.granted' | 'credits.consumed', now: number): object {
  return {
    id: formatId('transaction', NOWHERE),
    object: OBJECTS[type],
    customer_id: 'cust_test_event',
    account_id: formatId('account', NOWHERE),
    bucket_name: 'default',
    unit_label: 'credits',
    amount_minor_units: '100',
    balance_after_minor_units: '100',
    available_after_minor_units: '100',
    reference: 'tallystick_test_event',
    occurred_at: new Date(now).toISOString(),
  };
}

const NOWHERE = '00000000-0000-7000-8000-000000000000';
