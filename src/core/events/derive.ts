import type { Uuid } from '../id.js';
import type { Account, Entry, Grant, Store, Transaction } from '../model.js';
import { DEFAULT_EVENTS, type EventType } from './names.js';
import {
  eventBody,
  expiringPayload,
  type Moved,
  movementPayload,
  statusPayload,
} from './payloads.js';
import type { Standing } from './standing.js';

/**
 * What is told to webhook endpoints, derived from what a batch came to (contract section 3).
 * Pure: the ids of events come in from outside.
 */

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
    outbox.add(
      type,
      transaction.createdAt,
      account,
      last.seq!,
      movementPayload(type, transaction, moved),
    );
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

const STATUS_EVENTS = {
  frozen: 'account.frozen',
  active: 'account.unfrozen',
  closed: 'account.closed',
} as const;

function tellStatus(outbox: Outbox, store: Store, standing: Standing): void {
  const { account } = standing;
  const type = STATUS_EVENTS[account.status];
  if (!outbox.wants(type)) return;
  const told = statusPayload(store, standing);
  outbox.add(type, account.updatedAt, account, account.version, told);
}

function tellExpiring(outbox: Outbox, grant: Grant, account: Account): void {
  if (!outbox.wants('credits.expiring')) return;
  const told = expiringPayload(grant, account);
  outbox.add('credits.expiring', grant.announcedAt!, account, account.version, told);
}
