import type { Uuid } from '../../core/id.js';
import type {
  Account,
  AccountStatus,
  Drawdown,
  Entry,
  Grant,
  GrantCategory,
  Hold,
  HoldStatus,
  Metadata,
  Operation,
  Part,
  Remarks,
  TransactionHead,
} from '../../core/model.js';
import {
  amount,
  count,
  flag,
  instant,
  json,
  jsonOf,
  optionalAmount,
  optionalCount,
  optionalInstant,
  optionalText,
  optionalUuid,
  small,
  text,
  uuid,
  word,
} from './columns.js';
import { type Columns, Table } from './table.js';

/** The rows of the ledger's tables: a new field is a new line here, and nothing else in SQL. */

/** What callers note on a movement; each but the metadata can be looked for. */
export const REMARKS: Columns<Remarks> = {
  reference: text('reference'),
  description: optionalText('description'),
  metadata: json<Metadata>('metadata'),
};

export const ACCOUNTS = new Table<Account>('accounts', {
  id: uuid('account_id'),
  customerId: text('customer_id'),
  name: text('name'),
  unitLabel: text('unit_label'),
  status: word<AccountStatus>('status'),
  balance: amount('balance'),
  version: count('version'),
  createdAt: instant('created_at'),
  updatedAt: instant('updated_at'),
  postedAt: instant('posted_at'),
  held: amount('held'),
  freeInGrants: amount('free_in_grants'),
  openGrants: small('open_grants', 'integer'),
  openHolds: small('open_holds', 'integer'),
  hasGrants: flag('has_grants'),
  metadata: json<Metadata>('metadata'),
});

/** The same with what only the database looks at. */
export const NEW_ACCOUNTS = new Table<Account & { nameKey: string }>('accounts', {
  ...ACCOUNTS.columns,
  nameKey: text('name_key'),
});

export const TRANSACTIONS = new Table<TransactionHead>('transactions', {
  id: uuid('transaction_id'),
  operation: word<Operation>('operation'),
  key: text('idempotency_key'),
  fingerprint: uuid('fingerprint'),
  reversalOf: optionalUuid('reversal_of'),
  createdAt: instant('created_at'),
  holdId: optionalUuid('hold_id'),
  ...REMARKS,
});

/** A line of a transaction, as it is stored. */
export interface EntryRow extends Entry {
  readonly transactionId: Uuid;
  readonly createdAt: number;
}

export const ENTRIES = new Table<EntryRow>('entries', {
  transactionId: uuid('transaction_id'),
  line: small('line', 'smallint'),
  accountId: uuid('account_id'),
  amount: amount('amount'),
  seq: optionalCount('seq'),
  balanceAfter: optionalAmount('balance_after'),
  createdAt: instant('created_at'),
});

export interface DrawdownRow extends Drawdown {
  readonly transactionId: Uuid;
}

export const DRAWDOWNS = new Table<DrawdownRow>('drawdowns', {
  transactionId: uuid('transaction_id'),
  line: small('line', 'smallint'),
  grantId: uuid('grant_id'),
  amount: amount('amount'),
});

export const GRANTS = new Table<Grant>('grants', {
  id: uuid('grant_id'),
  accountId: uuid('account_id'),
  transactionId: uuid('transaction_id'),
  amount: amount('amount'),
  remaining: amount('remaining'),
  held: amount('held'),
  priority: small('priority', 'smallint'),
  category: word<GrantCategory>('category'),
  effectiveAt: instant('effective_at'),
  expiresAt: optionalInstant('expires_at'),
  voidedAt: optionalInstant('voided_at'),
  announcedAt: optionalInstant('announced_at'),
  createdAt: instant('created_at'),
});

/** The void of a grant: in which transaction it took what was left. */
export interface VoidRow {
  readonly grantId: Uuid;
  readonly transactionId: Uuid;
}

export const VOIDS = new Table<VoidRow>('grants', {
  grantId: uuid('grant_id'),
  transactionId: uuid('void_transaction_id'),
});

export const HOLDS = new Table<Hold>('holds', {
  id: uuid('hold_id'),
  accountId: uuid('account_id'),
  amount: amount('amount'),
  remaining: amount('remaining'),
  captured: amount('captured'),
  status: word<HoldStatus>('status'),
  reference: text('reference'),
  key: text('idempotency_key'),
  fingerprint: uuid('fingerprint'),
  pins: jsonOf<readonly Part[]>('pins', toPairs, (stored) => ofPairs(stored as Pair[])),
  expiresAt: instant('expires_at'),
  createdAt: instant('created_at'),
  updatedAt: instant('updated_at'),
});

type Pair = [Uuid | null, string];

function toPairs(parts: readonly Part[]): Pair[] {
  return parts.map(({ grantId, amount: held }) => [grantId, `${held}`]);
}

function ofPairs(pairs: readonly Pair[]): Part[] {
  return pairs.map(([grantId, held]) => ({ grantId, amount: BigInt(held) }));
}
