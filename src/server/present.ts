import type { AccountBody, EntryBody, ListBody, TransactionBody } from '../contract/schema.js';
import { formatEntryId, formatId } from '../core/id.js';
import type { Account, HistoryEntry, Listed, Store, Transaction } from '../ledger/index.js';

/** The ledger's objects as the wire shows them: snake case, text amounts, ISO times. */

export function presentAccount(store: Store, account: Account): AccountBody {
  return {
    id: formatId('account', account.id),
    store_id: formatId('store', store.id),
    customer_id: account.customerId,
    name: account.name,
    unit_label: account.unitLabel,
    status: account.status,
    created_at: time(account.createdAt),
    updated_at: time(account.updatedAt),
  };
}

/** Only lines of customer accounts are shown (contract section 1.3). */
export function presentTransaction(store: Store, transaction: Transaction): TransactionBody {
  const { id, createdAt, reversalOf } = transaction;
  const shown = transaction.entries.filter(({ seq }) => seq !== null);
  return {
    id: formatId('transaction', id),
    store_id: formatId('store', store.id),
    reference: transaction.reference,
    idempotency_key: transaction.key,
    reversal_of: reversalOf === null ? null : formatId('transaction', reversalOf),
    entries: shown.map((entry) => presentEntry({ ...entry, transactionId: id, createdAt })),
    created_at: time(createdAt),
  };
}

export function presentEntry(
  entry: Pick<HistoryEntry, 'transactionId' | 'line' | 'accountId' | 'amount' | 'createdAt'>,
): EntryBody {
  const { transactionId, line, accountId, amount, createdAt } = entry;
  return {
    id: formatEntryId(transactionId, line),
    transaction_id: formatId('transaction', transactionId),
    account_id: formatId('account', accountId),
    side: amount < 0n ? 'debit' : 'credit',
    amount: (amount < 0n ? -amount : amount).toString(),
    created_at: time(createdAt),
  };
}

export function presentList<Item, Body>(
  { items, more }: Listed<Item>,
  present: (item: Item) => Body,
): ListBody<Body> {
  return { object: 'list', data: items.map(present), has_more: more };
}

export function time(instant: number): string {
  return new Date(instant).toISOString();
}
