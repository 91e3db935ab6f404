-- Webhooks: endpoints, the outbox that movements write, and what became of each delivery.

-- Few rows, read by every batch: an index look-up in a table that is as a rule empty. A server
-- that delivers to an endpoint holds its lease; the others leave it alone until it runs out.
create table tallystick.webhook_endpoints (
  store_id uuid not null references tallystick.stores,
  endpoint_id uuid not null,
  name text,
  url text not null,
  delivery_mode text not null check (delivery_mode in ('http', 'cli')),
  status text not null check (status in ('enabled', 'disabled')),
  events text[] not null,
  signature text not null check (signature in ('creem', 'standard', 'both')),
  secret text not null,
  previous_secret text,
  previous_secret_until timestamptz(3),
  disabled_reason text,
  failing_since timestamptz(3),
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  lease_owner uuid,
  lease_until timestamptz,
  primary key (store_id, endpoint_id)
) with (fillfactor = 50);

-- One row an event and endpoint, from the commit of the movement to the end of the first
-- attempt: one row and one index entry are all that a movement pays, and the oldest rows of an
-- endpoint are the first of the key, however much has been delivered before. An event's id begins
-- with the instant of its movement, so it needs no column for that.
create table tallystick.outbox (
  store_id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  type text not null,
  account_id uuid not null,
  seq bigint not null,
  body text not null,
  primary key (store_id, endpoint_id, event_id)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

-- What has been attempted at least once. A row that is due again has a due_at; where that is
-- null the event is settled. The attempts are few and always read together: they are one value.
create table tallystick.deliveries (
  store_id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  type text not null,
  account_id uuid not null,
  seq bigint not null,
  body text not null,
  status text not null check (status in ('delivered', 'retrying', 'failed')),
  tries smallint not null,
  attempts jsonb not null,
  due_at timestamptz,
  primary key (store_id, endpoint_id, event_id),
  check ((due_at is null) = (status <> 'retrying'))
);
create index deliveries_due on tallystick.deliveries (store_id, endpoint_id, due_at)
  where due_at is not null;
