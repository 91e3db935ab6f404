import { formatEntryId, formatId, type Uuid } from '../../core/id.js';
import type { EntryFilter, HistoryEntry, Ledger, Store } from '../../ledger/index.js';
import { time } from './present.js';

const PAGE = 200;
const COLUMNS = [
  'id',
  'transaction_id',
  'account_id',
  'side',
  'amount',
  'balance_after',
  'reference',
  'created_at',
  'description',
];

/**
 * All of an account's entries as CSV (RFC 4180), newest first, a page at a time, so that an
 * account of any size is exported in little memory.
 *
 * @throws {RefusalError} where there is no such account, before anything is sent.
 */
export async function entriesCsv(
  ledger: Ledger,
  store: Store,
  accountId: Uuid,
  filter: EntryFilter,
): Promise<AsyncIterable<string>> {
  await ledger.account(store, accountId);
  return rows(ledger, store, accountId, filter);
}

async function* rows(ledger: Ledger, store: Store, accountId: Uuid, filter: EntryFilter) {
  yield `${COLUMNS.join(',')}\r\n`;
  let after: HistoryEntry | undefined;
  do {
    const page = { limit: PAGE, after, before: undefined };
    const { items, more } = await ledger.entries(store, accountId, page, filter);
    const pending = await ledger.funds.pendingAfter(store, accountId, items);
    yield items.map((entry, index) => row(entry, pending[index]!)).join('');
    after = more ? items.at(-1) : undefined;
  } while (after !== undefined);
}

/** @param pending what of the balance could not be used yet, so that no read of it showed it. */
function row(entry: HistoryEntry, pending: bigint): string {
  const { amount } = entry;
  const transactionId = formatId('transaction', entry.transactionId);
  const fields = [
    formatEntryId(transactionId, entry.line),
    transactionId,
    formatId('account', entry.accountId),
    amount < 0n ? 'debit' : 'credit',
    (amount < 0n ? -amount : amount).toString(),
    (entry.balanceAfter - pending).toString(),
    quoted(entry.reference),
    time(entry.createdAt),
    quoted(entry.description ?? ''),
  ];
  return `${fields.join(',')}\r\n`;
}

/** A spreadsheet takes text that begins like a formula for one, so such text is led by a quote. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
