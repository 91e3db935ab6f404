import type { AccountBody, EntryBody, ListBody, TransactionBody } from '../../contract/schema.js';
import { formatEntryId, formatId } from '../../core/id.js';
import type {
  Account,
  HistoryEntry,
  Listed,
  Position,
  Store,
  Transaction,
} from '../../ledger/index.js';
import { presentRemarks } from '../handlers/remarks.js';

/** The ledger's objects as the wire shows them: snake case, text amounts, ISO times. */

export function presentAccount(store: Store, account: Account): AccountBody {
  return {
    id: formatId('account', account.id),
    store_id: storeId(store),
    customer_id: account.customerId,
    name: account.name,
    unit_label: account.unitLabel,
    status: account.status,
    ...(account.metadata === null ? {} : { metadata: account.metadata }),
    created_at: time(account.createdAt),
    updated_at: time(account.updatedAt),
  };
}

/** Only lines of customer accounts are shown (contract section 1.3). */
export function presentTransaction(store: Store, transaction: Transaction): TransactionBody {
  const id = formatId('transaction', transaction.id);
  const createdAt = time(transaction.createdAt);
  const shown = transaction.entries.filter(({ seq }) => seq !== null);
  const { reversalOf } = transaction;
  return {
    id,
    store_id: storeId(store),
    ...presentRemarks(transaction),
    idempotency_key: transaction.key,
    reversal_of: reversalOf === null ? null : formatId('transaction', reversalOf),
    entries: shown.map((entry) => entryBody(entry, id, createdAt)),
    created_at: createdAt,
    ...extensionsOf(transaction, id),
  };
}

/** What a plain transaction does not have, and does not show. */
function extensionsOf({ holdId, operation, drawdowns }: Transaction, id: string) {
  if (holdId === null && drawdowns.length === 0) return undefined;
  return {
    ...(holdId === null ? {} : { hold_id: formatId('hold', holdId) }),
    ...(operation === 'late_capture' ? { late: true } : {}),
    ...(drawdowns.length === 0
      ? {}
      : {
          drawdowns: drawdowns.map(({ line, grantId, amount }) => ({
            entry_id: formatEntryId(id, line),
            grant_id: formatId('grant', grantId),
            amount: amount.toString(),
          })),
        }),
  };
}

/** Held and expiring credits are extensions; the contract's own two fields come first. */
export function presentBalance({ account, position }: { account: Account; position: Position }) {
  const { balance, held, available, pending, expiringNext } = position;
  return {
    balance: balance.toString(),
    updated_at: time(account.postedAt),
    available: available.toString(),
    held: held.toString(),
    pending: pending.toString(),
    expiring_next:
      expiringNext === null
        ? null
        : { amount: expiringNext.amount.toString(), at: time(expiringNext.at) },
  };
}

export function presentEntry(entry: HistoryEntry, expand = false): EntryBody {
  const transactionId = formatId('transaction', entry.transactionId);
  const body = entryBody(entry, transactionId, time(entry.createdAt));
  if (!expand) return body;
  return { ...body, transaction: { ...presentRemarks(entry), metadata: entry.metadata } };
}

function entryBody(
  { line, accountId, amount }: Pick<HistoryEntry, 'line' | 'accountId' | 'amount'>,
  transactionId: string,
  createdAt: string,
): EntryBody {
  return {
    id: formatEntryId(transactionId, line),
    transaction_id: transactionId,
    account_id: formatId('account', accountId),
    side: amount < 0n ? 'debit' : 'credit',
    amount: (amount < 0n ? -amount : amount).toString(),
    created_at: createdAt,
  };
}

const storeIds = new WeakMap<Store, string>();

/** A server answers for few stores, so their ids are written once. */
function storeId(store: Store): string {
  let text = storeIds.get(store);
  if (text === undefined) {
    text = formatId('store', store.id);
    storeIds.set(store, text);
  }
  return text;
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
