import type { Uuid } from '../../core/id.js';
import type { Store } from '../../core/model.js';
import type { Lane } from '../engine/db.js';
import { WALKS } from './checks.js';
import { DUPLICATES } from './duplicates.js';
import { FUND_WALKS } from './funds.js';
import type { Walk } from './walk.js';

/** Runs the checks of `checks.ts` over one store, a bounded range of rows at a time. */

/** How many rows one statement looks at: some 100 ms of work, and a few megabytes. */
const RANGE_ROWS = 50_000;

/** A kind of difference, how often it occurs, and where it occurs first. */
export interface RawDifference {
  readonly kind: string;
  readonly count: number;
  readonly transactionId: Uuid | null;
  readonly accountId: Uuid | null;
  readonly line: number | null;
  readonly expected: string | null;
  readonly found: string | null;
}

export interface Counts {
  readonly transactions: number;
  readonly entries: number;
  readonly accounts: number;
}

/** Begins a snapshot: what is committed meanwhile is neither seen nor waited for. */
export async function beginSnapshot(lane: Lane): Promise<void> {
  await lane.query('begin isolation level repeatable read read only');
  // Here whole ranges are read and joined, whatever that takes.
  for (const setting of SNAPSHOT_SETTINGS) await lane.query(`set local ${setting}`);
}

const SNAPSHOT_SETTINGS = [
  'statement_timeout = 0',
  'idle_in_transaction_session_timeout = 0',
  'plan_cache_mode = force_custom_plan',
  'jit = off',
  // Enough to sort and join a range without a file.
  "work_mem = '32MB'",
];

export async function countRows(lane: Lane, storeId: Uuid): Promise<Counts> {
  const count = async (table: string) => {
    const sql = `select count(*)::text as rows from tallystick.${table} where store_id = $1`;
    return Number((await lane.query(sql, [storeId])).rows[0].rows);
  };
  return {
    transactions: await count('transactions'),
    entries: await count('entries'),
    accounts: await count('accounts'),
  };
}

/**
 * Yields what each range came to, so that whoever listens can show progress.
 *
 * A range ends at the place of its last row. The last range ends after everything, so that rows
 * which the walked table lacks, such as entries without a transaction, are seen as well.
 */
export async function* walkRanges(
  lane: Lane,
  store: Store,
): AsyncGenerator<{ walk: string; rows: number; differences: RawDifference[] }> {
  for (const walk of [...WALKS, ...FUND_WALKS]) {
    let low: readonly unknown[] = walk.first;
    for (;;) {
      const next = await lane.query(walk.next, [store.id, RANGE_ROWS, ...low]);
      const rows = next.rows.length === 0 ? 0 : Number(next.rows[0].rows);
      const isLast = rows < RANGE_ROWS;
      const high = isLast ? walk.last : walk.place.map((column) => next.rows[0][column]);
      const { rows: found } = await lane.query(walk.faults, parameters(walk, store, low, high));
      yield { walk: walk.name, rows, differences: found.map(toDifference) };
      if (isLast) break;
      low = high;
    }
  }
}

function parameters(
  walk: Walk,
  store: Store,
  low: readonly unknown[],
  high: readonly unknown[],
): unknown[] {
  const system = walk.needsSystemAccounts
    ? [store.issuanceId, store.redemptionId, store.breakageId]
    : [];
  return [store.id, ...low, ...high, ...system];
}

/** What must be unique in the store: the database counts it, in the memory that it may use. */
export async function* findDuplicates(
  lane: Lane,
  storeId: Uuid,
): AsyncGenerator<{ walk: string; differences: RawDifference[] }> {
  for (const { name, sql } of DUPLICATES) {
    const { rows } = await lane.query(sql, [storeId]);
    yield { walk: name, differences: rows.map(toDifference) };
  }
}

/** The stores that rows name, and that do not exist; found by stepping over the stores. */
export async function findStrayStores(lane: Lane, known: readonly Uuid[]): Promise<Uuid[]> {
  const stray = new Set<Uuid>();
  for (const table of ['transactions', 'entries']) {
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const sql = `select store_id from tallystick.${table} where store_id > $1
        order by store_id limit 1`;
      const { rows } = await lane.query(sql, [after]);
      if (rows.length === 0) break;
      after = rows[0].store_id;
      if (!known.includes(after)) stray.add(after);
    }
  }
  return [...stray];
}

interface DifferenceRow {
  kind: string;
  count: string;
  transaction_id: Uuid | null;
  account_id: Uuid | null;
  line: number | null;
  expected: string | null;
  found: string | null;
}

function toDifference(row: DifferenceRow): RawDifference {
  return {
    kind: row.kind,
    count: Number(row.count),
    transactionId: row.transaction_id,
    accountId: row.account_id,
    line: row.line,
    expected: row.expected,
    found: row.found,
  };
}
