import type { Uuid } from '../core/id.js';
import {
  type Account,
  type AccountStatus,
  type Metadata,
  nameKeys,
  type Transaction,
} from '../core/model.js';
import type { Db } from './db.js';
import { readTransactions } from './find.js';
import { type AccountRow, epoch, SELECT_ACCOUNT, toAccount } from './lock.js';

/** Reads that lists and single look-ups need. All are by store, and all are by index. */

/** A window of a list that is ordered newest first (contract section 2.10). */
export interface Page<Cursor> {
  readonly limit: number;
  /** Only what is older than this. */
  readonly after: Cursor | undefined;
  /** Only what is newer than this; alone, it asks for the nearest ones. */
  readonly before: Cursor | undefined;
}

export interface Listed<Item> {
  /** Newest first. */
  readonly items: Item[];
  /** Whether there is more in the direction that was asked for. */
  readonly more: boolean;
}

/** An entry of one customer account, as a history shows it. */
export interface HistoryEntry {
  readonly transactionId: Uuid;
  readonly line: number;
  readonly accountId: Uuid;
  readonly amount: bigint;
  readonly seq: number;
  readonly balanceAfter: bigint;
  readonly createdAt: number;
  /** Of its transaction. */
  readonly reference: string;
  readonly metadata: Metadata | null;
}

export interface AccountFilter {
  readonly customerId?: string | undefined;
  readonly status?: AccountStatus | undefined;
  /** Compared as names are, by `nameKey`. */
  readonly name?: string | undefined;
}

export interface EntryFilter {
  readonly side?: 'debit' | 'credit' | undefined;
  /** From this instant on, and before that one. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reference?: string | undefined;
}

export async function readAccount(db: Db, storeId: Uuid, id: Uuid): Promise<Account | undefined> {
  const sql = `${SELECT_ACCOUNT} where store_id = $1 and account_id = $2`;
  const { rows } = await db.query(sql, [storeId, id]);
  return rows[0] && toAccount(rows[0]);
}

export async function listAccounts(
  db: Db,
  storeId: Uuid,
  { customerId, status, name }: AccountFilter,
  page: Page<Uuid>,
): Promise<Listed<Account>> {
  const where = new Where(storeId);
  if (customerId !== undefined) where.add('customer_id =', customerId);
  if (status !== undefined) where.add('status =', status);
  if (name !== undefined) where.addOneOf('name_key', nameKeys(name));
  const result = await pageOf(db, SELECT_ACCOUNT, where, 'account_id', page);
  return { ...result, items: result.items.map((row) => toAccount(row as AccountRow)) };
}

/** The account's history, newest first; a cursor is an entry's `seq`. */
export async function listEntries(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  { side, from, to, reference }: EntryFilter,
  page: Page<number>,
): Promise<Listed<HistoryEntry>> {
  const where = new Where(storeId, 'entries.store_id');
  where.add('seq is not null and account_id =', accountId);
  if (side !== undefined) where.add(side === 'debit' ? 'amount <' : 'amount >', 0);
  if (from !== undefined) where.add('entries.created_at >=', new Date(from).toISOString());
  if (to !== undefined) where.add('entries.created_at <', new Date(to).toISOString());
  if (reference !== undefined) where.add('reference =', reference);
  const select = `select transaction_id, line, account_id, amount::text as amount,
    seq::text as seq, balance_after::text as balance_after, ${epoch('created_at', 'entries')},
    reference, metadata
    from tallystick.entries join tallystick.transactions using (store_id, transaction_id)`;
  // The bare name would mean the text that is selected, in which 9 comes after 10.
  const result = await pageOf(db, select, where, 'entries.seq', page);
  return { ...result, items: result.items.map((row) => toHistoryEntry(row as EntryRow)) };
}

/** The place of an entry in its account's history; undefined where it is not of this account. */
export async function findSeq(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  entry: { transactionId: Uuid; line: number },
): Promise<number | undefined> {
  const { rows } = await db.query(
    `select seq::text as seq from tallystick.entries
      where store_id = $1 and transaction_id = $2 and line = $3 and account_id = $4
        and seq is not null`,
    [storeId, entry.transactionId, entry.line, accountId],
  );
  return rows[0] && Number(rows[0].seq);
}

/**
 * The balance right after the last entry with `created_at <= at`; zero before the first.
 *
 * Times never run backwards along `seq`, so the entry is found by halving: some twenty look-ups
 * in the index that the history has anyway, instead of a second index on every write.
 */
export async function readBalanceAt(
  db: Db,
  storeId: Uuid,
  account: Account,
  at: number,
): Promise<bigint> {
  const { rows } = await db.query(
    `with recursive halving (low, high) as (
        select 0::bigint, $3::bigint
        union all
        select case when e.created_at <= $4::timestamptz then m.middle else h.low end,
          case when e.created_at <= $4::timestamptz then h.high else m.middle - 1 end
        from halving h
        cross join lateral (select (h.low + h.high + 1) / 2 as middle) as m
        cross join lateral (
          select created_at from tallystick.entries
          where store_id = $1 and account_id = $2 and seq = m.middle limit 1
        ) as e
        where h.low < h.high
      )
      select e.balance_after::text as balance
      from (select low from halving where low = high limit 1) as found
      cross join lateral (
        select balance_after from tallystick.entries
        where store_id = $1 and account_id = $2 and seq = found.low limit 1
      ) as e`,
    [storeId, account.id, account.version, new Date(at).toISOString()],
  );
  return rows.length === 0 ? 0n : BigInt(rows[0].balance);
}

export async function readTransaction(
  db: Db,
  storeId: Uuid,
  id: Uuid,
): Promise<Transaction | undefined> {
  return (await readTransactions(db, storeId, [id])).get(id);
}

export async function listByReference(
  db: Db,
  storeId: Uuid,
  reference: string,
  page: Page<Uuid>,
): Promise<Listed<Transaction>> {
  const where = new Where(storeId);
  where.add('reference =', reference);
  const select = 'select transaction_id from tallystick.transactions';
  const { items, more } = await pageOf(db, select, where, 'transaction_id', page);
  const ids = items.map((row) => (row as { transaction_id: Uuid }).transaction_id);
  const transactions = await readTransactions(db, storeId, ids);
  return { items: ids.map((id) => transactions.get(id)!), more };
}

/** Conditions over values that are always sent beside the statement, never in it. */
export class Where {
  readonly values: unknown[];
  #text: string;

  constructor(storeId: Uuid, column = 'store_id') {
    this.values = [storeId];
    this.#text = `${column} = $1`;
  }

  add(condition: string, value: unknown): void {
    this.values.push(value);
    this.#text += ` and ${condition} $${this.values.length}`;
  }

  /** The column has one of these values. */
  addOneOf(column: string, values: readonly unknown[]): void {
    const places = values.map((_, index) => `$${this.values.length + index + 1}`);
    this.values.push(...values);
    this.#text += ` and ${column} in (${places.join(', ')})`;
  }

  get text(): string {
    return this.#text;
  }
}

/** Reads one row more than was asked for, to know whether there is more. */
export async function pageOf(
  db: Db,
  select: string,
  where: Where,
  key: string,
  { limit, after, before }: Page<string | number>,
): Promise<Listed<unknown>> {
  if (after !== undefined) where.add(`${key} <`, after);
  if (before !== undefined) where.add(`${key} >`, before);
  const backwards = before !== undefined && after === undefined;
  where.values.push(limit + 1);
  const { rows } = await db.query(
    `${select} where ${where.text} order by ${key} ${backwards ? 'asc' : 'desc'}
      limit $${where.values.length}`,
    where.values,
  );
  const items = rows.slice(0, limit);
  return { items: backwards ? items.reverse() : items, more: rows.length > limit };
}

interface EntryRow {
  transaction_id: Uuid;
  line: number;
  account_id: Uuid;
  amount: string;
  seq: string;
  balance_after: string;
  created_at: string;
  reference: string;
  metadata: Metadata | null;
}

function toHistoryEntry(row: EntryRow): HistoryEntry {
  return {
    transactionId: row.transaction_id,
    line: row.line,
    accountId: row.account_id,
    amount: BigInt(row.amount),
    seq: Number(row.seq),
    balanceAfter: BigInt(row.balance_after),
    createdAt: Number(row.created_at),
    reference: row.reference,
    metadata: row.metadata,
  };
}
