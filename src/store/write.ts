import type { Uuid } from '../core/id.js';
import { type Account, nameKey, type Transaction } from '../core/model.js';
import { plainArray, type Statement, textArray } from './db.js';

/**
 * The only statements that write the ledger: one a table, whatever the size of the batch.
 * Times are sent as ISO 8601 text, amounts as decimal text.
 */

/**
 * A key that another process took in between raises a unique violation, which undoes this batch
 * alone, for it runs in a transaction of its own: it is decided again and finds the winner.
 */
export function insertTransactions(storeId: Uuid, transactions: readonly Transaction[]): Statement {
  return {
    text: `insert into tallystick.transactions (store_id, transaction_id, operation, reference,
        idempotency_key, fingerprint, reversal_of, created_at)
      select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[],
        $7::uuid[], $8::timestamptz[])`,
    values: [
      storeId,
      plainArray(transactions.map(({ id }) => id)),
      plainArray(transactions.map(({ operation }) => operation)),
      textArray(transactions.map(({ reference }) => reference)),
      textArray(transactions.map(({ key }) => key)),
      plainArray(transactions.map(({ fingerprint }) => fingerprint)),
      plainArray(transactions.map(({ reversalOf }) => reversalOf)),
      times(transactions.map(({ createdAt }) => createdAt)),
    ],
  };
}

export function insertEntries(storeId: Uuid, transactions: readonly Transaction[]): Statement {
  const lines = transactions.flatMap(({ id, createdAt, entries }) =>
    entries.map((entry) => ({ ...entry, id, createdAt })),
  );
  return {
    text: `insert into tallystick.entries (store_id, transaction_id, line, account_id, amount, seq,
        balance_after, created_at)
      select $1, * from unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::numeric[],
        $6::bigint[], $7::numeric[], $8::timestamptz[])`,
    values: [
      storeId,
      plainArray(lines.map(({ id }) => id)),
      plainArray(lines.map(({ line }) => line)),
      plainArray(lines.map(({ accountId }) => accountId)),
      plainArray(lines.map(({ amount }) => amount)),
      plainArray(lines.map(({ seq }) => seq)),
      plainArray(lines.map(({ balanceAfter }) => balanceAfter)),
      times(lines.map(({ createdAt }) => createdAt)),
    ],
  };
}

export function insertAccounts(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `insert into tallystick.accounts (store_id, account_id, customer_id, name, name_key, unit_label,
        status, balance, version, created_at, updated_at, posted_at)
      select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::numeric[], $9::bigint[], $10::timestamptz[], $11::timestamptz[],
        $12::timestamptz[])`,
    values: [
      storeId,
      plainArray(accounts.map(({ id }) => id)),
      textArray(accounts.map(({ customerId }) => customerId)),
      textArray(accounts.map(({ name }) => name)),
      textArray(accounts.map(({ name }) => nameKey(name))),
      textArray(accounts.map(({ unitLabel }) => unitLabel)),
      plainArray(accounts.map(({ status }) => status)),
      plainArray(accounts.map(({ balance }) => balance)),
      plainArray(accounts.map(({ version }) => version)),
      times(accounts.map(({ createdAt }) => createdAt)),
      times(accounts.map(({ updatedAt }) => updatedAt)),
      times(accounts.map(({ postedAt }) => postedAt)),
    ],
  };
}

export function updateAccounts(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `update tallystick.accounts as a
      set status = v.status, balance = v.balance, version = v.version,
        updated_at = v.updated_at, posted_at = v.posted_at
      from unnest($2::uuid[], $3::text[], $4::numeric[], $5::bigint[], $6::timestamptz[],
        $7::timestamptz[]) as v (id, status, balance, version, updated_at, posted_at)
      where a.store_id = $1 and a.account_id = v.id`,
    values: [
      storeId,
      plainArray(accounts.map(({ id }) => id)),
      plainArray(accounts.map(({ status }) => status)),
      plainArray(accounts.map(({ balance }) => balance)),
      plainArray(accounts.map(({ version }) => version)),
      times(accounts.map(({ updatedAt }) => updatedAt)),
      times(accounts.map(({ postedAt }) => postedAt)),
    ],
  };
}

function times(instants: readonly number[]): string {
  return plainArray(instants.map(isoInstant));
}

// A batch has few distinct instants, so the last one written is kept.
let lastInstant = Number.NaN;
let lastText = '';

function isoInstant(instant: number): string {
  if (instant !== lastInstant) {
    lastInstant = instant;
    lastText = new Date(instant).toISOString();
  }
  return lastText;
}
