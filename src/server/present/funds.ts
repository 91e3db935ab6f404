import type { z } from 'zod';
import type { grant, hold } from '../../contract/funds-schema.js';
import { grantStatus } from '../../core/funds/due.js';
import { formatId } from '../../core/id.js';
import type { Grant, Hold, Void } from '../../ledger/index.js';
import { time } from './present.js';

export function presentHold(item: Hold): z.input<typeof hold> {
  return {
    id: formatId('hold', item.id),
    object: 'hold',
    account_id: formatId('account', item.accountId),
    amount: item.amount.toString(),
    remaining: item.remaining.toString(),
    captured: item.captured.toString(),
    status: item.status,
    reference: item.reference,
    idempotency_key: item.key,
    expires_at: time(item.expiresAt),
    created_at: time(item.createdAt),
    updated_at: time(item.updatedAt),
  };
}

/**
 * @param now the store's instant, at which the grant is settled.
 * @param voided what its void took at once; undefined where that was nothing.
 */
export function presentGrant(
  item: Grant,
  now: number,
  voided: Void | undefined,
): z.input<typeof grant> {
  const isVoided = item.voidedAt !== null;
  return {
    id: formatId('grant', item.id),
    object: 'grant',
    account_id: formatId('account', item.accountId),
    transaction_id: formatId('transaction', item.transactionId),
    amount: item.amount.toString(),
    remaining: item.remaining.toString(),
    priority: item.priority,
    category: item.category,
    status: grantStatus(item, now),
    effective_at: time(item.effectiveAt),
    expires_at: item.expiresAt === null ? null : time(item.expiresAt),
    voided_at: item.voidedAt === null ? null : time(item.voidedAt),
    voided_amount: isVoided ? `${voided?.amount ?? 0n}` : null,
    void_transaction_id:
      voided === undefined ? null : formatId('transaction', voided.transactionId),
    created_at: time(item.createdAt),
  };
}
