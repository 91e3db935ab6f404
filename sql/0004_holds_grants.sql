-- Holds, grants that expire, a clock for test stores, and metadata.

-- Counts that tell the write path whether there is anything more to load for an account.
alter table tallystick.accounts
  add column held numeric(38, 0) not null default 0 check (held >= 0),
  add column open_grants integer not null default 0 check (open_grants >= 0),
  add column open_holds integer not null default 0 check (open_holds >= 0),
  add column has_grants boolean not null default false,
  add column metadata jsonb;

alter table tallystick.transactions
  add column hold_id uuid,
  add column metadata jsonb;

-- Where set, the store lives at this instant until it is moved. Only test stores have one.
alter table tallystick.stores
  add column clock timestamptz(3),
  add check (clock is null or mode = 'test');

-- Credits with a life of their own. What is in no grant is the account's general pool, which
-- costs no row: it is the balance less what remains of the grants.
create table tallystick.grants (
  store_id uuid not null,
  grant_id uuid not null,
  account_id uuid not null,
  transaction_id uuid not null,
  amount numeric(38, 0) not null check (amount > 0),
  remaining numeric(38, 0) not null check (remaining >= 0 and remaining <= amount),
  priority smallint not null check (priority between 0 and 100),
  category text not null check (category in ('paid', 'promotional')),
  effective_at timestamptz(3) not null,
  expires_at timestamptz(3),
  voided_at timestamptz(3),
  announced_at timestamptz(3),
  created_at timestamptz(3) not null,
  primary key (store_id, grant_id)
);
create index grants_account on tallystick.grants (store_id, account_id, grant_id);
create index grants_open on tallystick.grants (store_id, account_id) where remaining > 0;
create index grants_due on tallystick.grants (store_id, expires_at) where remaining > 0;
create index grants_unannounced on tallystick.grants (store_id, expires_at)
  where remaining > 0 and announced_at is null;
create index grants_transaction on tallystick.grants (store_id, transaction_id);

-- Which grant funded which line: positive where the line drew from the grant, negative where it
-- put back. A line's amount beyond its drawdowns came from the general pool.
create table tallystick.drawdowns (
  store_id uuid not null,
  transaction_id uuid not null,
  line smallint not null,
  grant_id uuid not null,
  amount numeric(38, 0) not null check (amount <> 0),
  primary key (store_id, transaction_id, line, grant_id)
);
create index drawdowns_grant on tallystick.drawdowns (store_id, grant_id);
create trigger drawdowns_append_only before update or delete or truncate on tallystick.drawdowns
  for each statement execute function tallystick.refuse_change();

-- pins say what a hold keeps, in order of use: [[grant id, or null for the pool, amount], …].
create table tallystick.holds (
  store_id uuid not null,
  hold_id uuid not null,
  account_id uuid not null,
  amount numeric(38, 0) not null check (amount > 0),
  remaining numeric(38, 0) not null check (remaining >= 0 and remaining <= amount),
  captured numeric(38, 0) not null check (captured >= 0),
  status text not null check (status in ('open', 'captured', 'released', 'expired')),
  reference text not null,
  idempotency_key text not null,
  fingerprint uuid not null,
  pins jsonb not null,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (store_id, hold_id),
  unique (store_id, idempotency_key),
  check (status = 'open' or remaining = 0)
);
create index holds_account on tallystick.holds (store_id, account_id, hold_id);
create index holds_open on tallystick.holds (store_id, account_id) where status = 'open';
create index holds_due on tallystick.holds (store_id, expires_at) where status = 'open';
