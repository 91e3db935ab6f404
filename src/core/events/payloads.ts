import { formatId, type Uuid } from '../id.js';
import type { Account, Grant, Store, Transaction } from '../model.js';
import type { EventType } from './names.js';
import { amountsOf, type Standing } from './standing.js';

/** What events say, in the fields of the wire (contract 3.2). */

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

/** An account right after a movement, and the net of what that moved. */
export interface Moved extends Standing {
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
export function movementPayload(type: EventType, transaction: Transaction, moved: Moved): object {
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

/** What is told of an account whose status has changed. */
export function statusPayload(store: Store, standing: Standing): object {
  const { account } = standing;
  const { balance, available } = amountsOf(standing);
  return {
    id: formatId('account', account.id),
    object: 'customer_credits_account',
    store_id: formatId('store', store.id),
    customer_id: account.customerId,
    bucket_name: account.name,
    unit_label: account.unitLabel,
    status: account.status,
    balance_minor_units: balance,
    available_minor_units: available,
    occurred_at: new Date(account.updatedAt).toISOString(),
  };
}

/** What would be lost of a grant if it ended now; told once, ahead of its expiry. */
export function expiringPayload(grant: Grant, account: Account): object {
  return {
    id: formatId('grant', grant.id),
    object: 'customer_credits_grant_expiring',
    customer_id: account.customerId,
    account_id: formatId('account', account.id),
    bucket_name: account.name,
    unit_label: account.unitLabel,
    amount_minor_units: grant.remaining.toString(),
    expires_at: new Date(grant.expiresAt!).toISOString(),
    occurred_at: new Date(grant.announcedAt!).toISOString(),
  };
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
