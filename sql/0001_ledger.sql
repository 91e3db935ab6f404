-- The ledger: stores, keys, accounts, transactions and their balanced lines.

-- The directory of tenants. Its system accounts have no row in accounts: they are never locked,
-- carry no stored balance (it is the sum of their lines) and are shown to nobody.
create table tallystick.stores (
  store_id uuid primary key,
  name text not null,
  mode text not null check (mode in ('test', 'live')),
  issuance_id uuid not null,
  redemption_id uuid not null,
  breakage_id uuid not null,
  created_at timestamptz(3) not null default now(),
  unique (name, mode)
);

-- Only a SHA-256 of a key is kept. A key is looked up before its store is known, so this table
-- and stores are the two that are not found by store first (reference tables on Citus).
create table tallystick.api_keys (
  key_id uuid primary key,
  store_id uuid not null references tallystick.stores,
  hash bytea not null unique check (length(hash) = 32),
  hint text not null,
  name text not null,
  scopes text[] not null,
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3),
  revoked_at timestamptz(3)
);

-- Room is left in every page so that a new balance is a heap-only update, without touching an
-- index; no index covers a column that a movement changes.
create table tallystick.accounts (
  store_id uuid not null references tallystick.stores,
  account_id uuid not null,
  customer_id text not null,
  name text not null,
  name_key text not null,
  unit_label text not null,
  status text not null check (status in ('active', 'frozen', 'closed')),
  balance numeric(38, 0) not null check (balance >= 0),
  version bigint not null check (version >= 0),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  posted_at timestamptz(3) not null,
  primary key (store_id, account_id),
  unique (store_id, customer_id, name_key)
) with (fillfactor = 60);

create table tallystick.transactions (
  store_id uuid not null,
  transaction_id uuid not null,
  operation text not null,
  reference text not null,
  idempotency_key text not null,
  fingerprint uuid not null,
  reversal_of uuid,
  created_at timestamptz(3) not null,
  primary key (store_id, transaction_id),
  unique (store_id, idempotency_key)
);
create unique index transactions_reversal_of on tallystick.transactions (store_id, reversal_of)
  where reversal_of is not null;
create index transactions_reference on tallystick.transactions (store_id, reference, transaction_id);

-- One row a line. An amount is signed: a credit is positive. Lines of customer accounts carry
-- their place in the account's history and the balance after them; system lines carry neither.
create table tallystick.entries (
  store_id uuid not null,
  transaction_id uuid not null,
  line smallint not null,
  account_id uuid not null,
  amount numeric(38, 0) not null check (amount <> 0),
  seq bigint,
  balance_after numeric(38, 0) check (balance_after >= 0),
  created_at timestamptz(3) not null,
  primary key (store_id, transaction_id, line),
  check ((seq is null) = (balance_after is null))
);
create unique index entries_history on tallystick.entries (store_id, account_id, seq)
  where seq is not null;
