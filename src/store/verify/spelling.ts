import type { Uuid } from '../../core/id.js';
import { nameKey } from '../../core/model.js';
import type { Lane } from '../engine/db.js';
import type { RawDifference } from './verify.js';
import { UUID_MIN } from './walk.js';

/**
 * What was written before names had a normal form and customer ids were trimmed, as warnings: the
 * ledger is right, but such a row is not found as its writer may expect.
 */

/** How many accounts are judged at a time: some megabytes at most. */
const SUSPECTS_MAX = 10_000;

// The database picks what can be meant at all, in any encoding; what is judged by is the very
// code that new rows are written with.
const SUSPECTS = `select account_id, customer_id, name, name_key from tallystick.accounts
  where store_id = $1 and account_id > $2
    and (customer_id ~ '^[^!-~]|[^!-~]$' or name_key ~ '[^ -~]')
  order by account_id limit $3`;

interface SuspectRow {
  account_id: Uuid;
  customer_id: string;
  name: string;
  name_key: string;
}

export async function* findSpellings(
  lane: Lane,
  storeId: Uuid,
): AsyncGenerator<{ walk: string; warnings: RawDifference[] }> {
  let after = UUID_MIN;
  for (;;) {
    const { rows } = await lane.query(SUSPECTS, [storeId, after, SUSPECTS_MAX]);
    yield { walk: 'spellings', warnings: rows.flatMap(warningsOf) };
    if (rows.length < SUSPECTS_MAX) return;
    after = rows.at(-1).account_id;
  }
}

function warningsOf(row: SuspectRow): RawDifference[] {
  return [
    ...warning('customer_id_not_trimmed', row, row.customer_id.trim(), row.customer_id),
    ...warning('name_not_normalised', row, nameKey(row.name), row.name_key),
  ];
}

function warning(
  kind: string,
  { account_id: accountId }: SuspectRow,
  expected: string,
  found: string,
): RawDifference[] {
  if (expected === found) return [];
  // As JSON, so that blanks at the ends can be seen.
  const texts = { expected: JSON.stringify(expected), found: JSON.stringify(found) };
  return [{ kind, count: 1, transactionId: null, accountId, line: null, ...texts }];
}
