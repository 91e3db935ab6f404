import type { Uuid } from '../core/id.js';
import { type Account, type Entry, nameKey, type Transaction } from '../core/model.js';
import { jsonColumn, plainColumn, type Statement, textColumn } from './db.js';

/**
 * The only statements that write the ledger: one a table, whatever the size of the batch. One for
 * transactions and entries together was slower. Times are sent as ISO
 * 8601 text, amounts as decimal text.
 */

interface Line {
  readonly transaction: Transaction;
  readonly entry: Entry;
}

/**
 * A key that another process took in between raises a unique violation, which undoes this batch
 * alone, for it runs in a transaction of its own: it is decided again and finds the winner.
 */
export function insertTransactions(storeId: Uuid, transactions: readonly Transaction[]): Statement {
  return {
    text: `insert into tallystick.transactions (store_id, transaction_id, operation, reference,
        idempotency_key, fingerprint, reversal_of, created_at, hold_id, metadata)
      select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[],
        $7::uuid[], $8::timestamptz[], $9::uuid[], $10::jsonb[])`,
    values: [
      storeId,
      plainColumn(transactions, ({ id }) => id),
      plainColumn(transactions, ({ operation }) => operation),
      textColumn(transactions, ({ reference }) => reference),
      textColumn(transactions, ({ key }) => key),
      plainColumn(transactions, ({ fingerprint }) => fingerprint),
      plainColumn(transactions, ({ reversalOf }) => reversalOf),
      plainColumn(transactions, ({ createdAt }) => isoInstant(createdAt)),
      plainColumn(transactions, ({ holdId }) => holdId),
      jsonColumn(transactions, ({ metadata }) => metadata),
    ],
  };
}

export function insertEntries(storeId: Uuid, transactions: readonly Transaction[]): Statement {
  const lines: Line[] = [];
  for (const transaction of transactions) {
    for (const entry of transaction.entries) lines.push({ transaction, entry });
  }
  return {
    text: `insert into tallystick.entries (store_id, transaction_id, line, account_id, amount,
        seq, balance_after, created_at)
      select $1, * from unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::numeric[],
        $6::bigint[], $7::numeric[], $8::timestamptz[])`,
    values: [
      storeId,
      plainColumn(lines, ({ transaction }) => transaction.id),
      plainColumn(lines, ({ entry }) => entry.line),
      plainColumn(lines, ({ entry }) => entry.accountId),
      plainColumn(lines, ({ entry }) => entry.amount),
      plainColumn(lines, ({ entry }) => entry.seq),
      plainColumn(lines, ({ entry }) => entry.balanceAfter),
      plainColumn(lines, ({ transaction }) => isoInstant(transaction.createdAt)),
    ],
  };
}

export function insertAccounts(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `insert into tallystick.accounts (store_id, account_id, customer_id, name, name_key, unit_label,
        status, balance, version, created_at, updated_at, posted_at, free_in_grants, open_grants,
        has_grants, metadata)
      select $1, * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::numeric[], $9::bigint[], $10::timestamptz[], $11::timestamptz[],
        $12::timestamptz[], $13::numeric[], $14::integer[], $15::boolean[], $16::jsonb[])`,
    values: [
      storeId,
      plainColumn(accounts, ({ id }) => id),
      textColumn(accounts, ({ customerId }) => customerId),
      textColumn(accounts, ({ name }) => name),
      textColumn(accounts, ({ name }) => nameKey(name)),
      textColumn(accounts, ({ unitLabel }) => unitLabel),
      plainColumn(accounts, ({ status }) => status),
      plainColumn(accounts, ({ balance }) => balance),
      plainColumn(accounts, ({ version }) => version),
      plainColumn(accounts, ({ createdAt }) => isoInstant(createdAt)),
      plainColumn(accounts, ({ updatedAt }) => isoInstant(updatedAt)),
      plainColumn(accounts, ({ postedAt }) => isoInstant(postedAt)),
      plainColumn(accounts, ({ freeInGrants }) => freeInGrants),
      plainColumn(accounts, ({ openGrants }) => openGrants),
      plainColumn(accounts, ({ hasGrants }) => String(hasGrants)),
      jsonColumn(accounts, ({ metadata }) => metadata),
    ],
  };
}

/**
 * Stores what movements change; no index covers any of these columns.
 *
 * The limit cuts nothing off. It tells the planner to expect few rows, so that it looks each one
 * up by its whole key; where it expected ten, it read whole stores that it took to be small.
 */
export function updateBalances(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `update tallystick.accounts as a
      set balance = v.balance, version = v.version, posted_at = v.posted_at
      from (
        select * from unnest($2::uuid[], $3::numeric[], $4::bigint[], $5::timestamptz[]) limit $6
      ) as v (id, balance, version, posted_at)
      where a.store_id = $1 and a.account_id = v.id`,
    values: [
      storeId,
      plainColumn(accounts, ({ id }) => id),
      plainColumn(accounts, ({ balance }) => balance),
      plainColumn(accounts, ({ version }) => version),
      plainColumn(accounts, ({ postedAt }) => isoInstant(postedAt)),
      accounts.length,
    ],
  };
}

export function updateStatuses(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `update tallystick.accounts as a set status = v.status, updated_at = v.updated_at
      from (
        select * from unnest($2::uuid[], $3::text[], $4::timestamptz[]) limit $5
      ) as v (id, status, updated_at)
      where a.store_id = $1 and a.account_id = v.id`,
    values: [
      storeId,
      plainColumn(accounts, ({ id }) => id),
      plainColumn(accounts, ({ status }) => status),
      plainColumn(accounts, ({ updatedAt }) => isoInstant(updatedAt)),
      accounts.length,
    ],
  };
}

// A batch has few distinct instants, so the last one written is kept.
let lastInstant = Number.NaN;
let lastText = '';

export function isoInstant(instant: number): string {
  if (instant !== lastInstant) {
    lastInstant = instant;
    lastText = new Date(instant).toISOString();
  }
  return lastText;
}
