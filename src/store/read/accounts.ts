import type { Uuid } from '../../core/id.js';
import {
  type Account,
  type AccountStatus,
  nameKeys,
  type Remarks,
  type Transaction,
} from '../../core/model.js';
import type { Db } from '../engine/db.js';
import { ACCOUNTS, ENTRIES, type EntryRow, REMARKS } from '../rows/rows.js';
import { type Selected, Table } from '../rows/table.js';
import { readTransactions } from '../write/find.js';

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

/** An entry of one customer account, as a history shows it, with what its transaction notes. */
export interface HistoryEntry extends EntryRow, Remarks {
  readonly seq: number;
  readonly balanceAfter: bigint;
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
  /** What its transaction notes, as it was written. */
  readonly noted?: NotedFilter | undefined;
}

/** Metadata cannot be looked for. */
export type NotedFilter = {
  readonly [Field in keyof Omit<Remarks, 'metadata'>]?: Remarks[Field] | undefined;
};

export async function readAccount(db: Db, storeId: Uuid, id: Uuid): Promise<Account | undefined> {
  const sql = `${ACCOUNTS.select} where store_id = $1 and account_id = $2`;
  const { rows } = await db.query(sql, [storeId, id]);
  return rows[0] && ACCOUNTS.read(rows[0]);
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
  const result = await pageOf(db, ACCOUNTS.select, where, 'account_id', page);
  return { ...result, items: result.items.map((row) => ACCOUNTS.read(row)) };
}

/** The account's history, newest first; a cursor is an entry's `seq`. */
export async function listEntries(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  { side, from, to, noted = {} }: EntryFilter,
  page: Page<number>,
): Promise<Listed<HistoryEntry>> {
  const where = new Where(storeId, 'entries.store_id');
  where.add('seq is not null and account_id =', accountId);
  if (side !== undefined) where.add(side === 'debit' ? 'amount <' : 'amount >', 0);
  for (const [field, value] of Object.entries(noted)) {
    if (value !== undefined) where.add(`${REMARKS[field as keyof NotedFilter].name} =`, value);
  }
  // A span of time is one of places; to look at each entry's time would be to read all later ones.
  const spans: string[] = [];
  for (const [name, instant, compared] of [
    ['earlier', from, '>'],
    ['inside', to, '<='],
  ] as const) {
    if (instant === undefined) continue;
    const bound = where.value(new Date(instant).toISOString());
    spans.push(halving(name, (time) => `${time} < ${bound}::timestamptz`));
    where.also(`entries.seq ${compared} ${placeIn(name)}`);
  }
  const select = `${spans.length === 0 ? '' : `with recursive ${spans.join(', ')}`}
    select ${HISTORY} from tallystick.entries join tallystick.transactions using (store_id, transaction_id)`;
  // The bare name would mean the text that is selected, in which 9 comes after 10.
  const result = await pageOf(db, select, where, 'entries.seq', page);
  return { ...result, items: result.items.map(toHistoryEntry) };
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
 * A part of a `with recursive` clause that finds how many entries of the account `$2` of the store
 * `$1` were posted in time, which is the `seq` of the last of them.
 *
 * Times never run backwards along `seq`, so it is found by halving: some twenty look-ups in the
 * index that the history has anyway, instead of a second index on every write.
 *
 * @param inTime a condition over a time that holds up to some instant.
 */
export function halving(name: string, inTime: (time: string) => string): string {
  return `${name} (low, high) as (
      select case when ${inTime('posted_at')} then version else 0 end, version
      from tallystick.accounts where store_id = $1 and account_id = $2
      union all
      select case when ${inTime('e.created_at')} then m.middle else h.low end,
        case when ${inTime('e.created_at')} then h.high else m.middle - 1 end
      from ${name} as h
      cross join lateral (select (h.low + h.high + 1) / 2 as middle) as m
      cross join lateral (
        select created_at from tallystick.entries
        where store_id = $1 and account_id = $2 and seq = m.middle limit 1
      ) as e
      where h.low < h.high
    )`;
}

/** What the halving of this name has found. */
export function placeIn(name: string): string {
  return `(select low from ${name} where low = high limit 1)`;
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
  const ids = items.map((row) => row.transaction_id as Uuid);
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
    this.also(`${condition} ${this.value(value)}`);
  }

  /** A condition that needs no value beside the statement. */
  also(condition: string): void {
    this.#text += ` and ${condition}`;
  }

  /** Sends a value, and says how the statement names it. */
  value(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
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

export async function pageOf(
  db: Db,
  select: string,
  where: Where,
  key: string,
  page: Page<string | number>,
): Promise<Listed<Selected>> {
  const { rows } = await db.query(pageText(select, where, key, page), where.values);
  return toPage(rows as Selected[], page);
}

/** A statement that reads one row more than was asked for, to know whether there is more. */
export function pageText(
  select: string,
  where: Where,
  key: string,
  page: Page<string | number>,
): string {
  const { limit, after, before } = page;
  if (after !== undefined) where.add(`${key} <`, after);
  if (before !== undefined) where.add(`${key} >`, before);
  const size = where.value(limit + 1);
  const order = isBackwards(page) ? 'asc' : 'desc';
  return `${select} where ${where.text} order by ${key} ${order} limit ${size}`;
}

/** @param rows what that statement has read. */
export function toPage<Row>(rows: readonly Row[], page: Page<string | number>): Listed<Row> {
  const items = rows.slice(0, page.limit);
  return { items: isBackwards(page) ? items.reverse() : items, more: rows.length > page.limit };
}

function isBackwards({ after, before }: Page<string | number>): boolean {
  return before !== undefined && after === undefined;
}

const NOTED = new Table<Remarks>('transactions', REMARKS);
const HISTORY = `${ENTRIES.list('entries')}, ${NOTED.list('transactions')}`;

function toHistoryEntry(row: Selected): HistoryEntry {
  return { ...ENTRIES.read(row), ...NOTED.read(row) } as HistoryEntry;
}
