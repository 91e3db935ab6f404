-- All migrations together, for reading. Written by `npm run schema`; not run by anything.

create table tallystick.accounts (
  account_id uuid not null,
  balance numeric(38,0) not null,
  created_at timestamp(3) with time zone not null,
  customer_id text not null,
  free_in_grants numeric(38,0) not null default 0,
  has_grants boolean not null default false,
  held numeric(38,0) not null default 0,
  metadata jsonb,
  name text not null,
  name_key text not null,
  open_grants integer not null default 0,
  open_holds integer not null default 0,
  posted_at timestamp(3) with time zone not null,
  status text not null,
  store_id uuid not null,
  unit_label text not null,
  updated_at timestamp(3) with time zone not null,
  version bigint not null,
  constraint accounts_balance_check CHECK ((balance >= (0)::numeric)),
  constraint accounts_free_in_grants_check CHECK ((free_in_grants >= (0)::numeric)),
  constraint accounts_held_check CHECK ((held >= (0)::numeric)),
  constraint accounts_open_grants_check CHECK ((open_grants >= 0)),
  constraint accounts_open_holds_check CHECK ((open_holds >= 0)),
  constraint accounts_pkey PRIMARY KEY (store_id, account_id),
  constraint accounts_status_check CHECK ((status = ANY (ARRAY['active'::text, 'frozen'::text, 'closed'::text]))),
  constraint accounts_store_id_customer_id_name_key_key UNIQUE (store_id, customer_id, name_key),
  constraint accounts_store_id_fkey FOREIGN KEY (store_id) REFERENCES tallystick.stores(store_id),
  constraint accounts_version_check CHECK ((version >= 0))
);

create table tallystick.api_keys (
  created_at timestamp(3) with time zone not null default now(),
  hash bytea not null,
  hint text not null,
  key_id uuid not null,
  last_used_at timestamp(3) with time zone,
  name text not null,
  revoked_at timestamp(3) with time zone,
  scopes text[] not null,
  store_id uuid not null,
  constraint api_keys_hash_check CHECK ((length(hash) = 32)),
  constraint api_keys_hash_key UNIQUE (hash),
  constraint api_keys_pkey PRIMARY KEY (key_id),
  constraint api_keys_store_id_fkey FOREIGN KEY (store_id) REFERENCES tallystick.stores(store_id)
);

create table tallystick.deliveries (
  account_id uuid not null,
  attempts jsonb not null,
  body text not null,
  due_at timestamp with time zone,
  endpoint_id uuid not null,
  event_id uuid not null,
  seq bigint not null,
  status text not null,
  store_id uuid not null,
  tries smallint not null,
  type text not null,
  constraint deliveries_check CHECK (((due_at IS NULL) = (status <> 'retrying'::text))),
  constraint deliveries_pkey PRIMARY KEY (store_id, endpoint_id, event_id),
  constraint deliveries_status_check CHECK ((status = ANY (ARRAY['delivered'::text, 'retrying'::text, 'failed'::text])))
);

create table tallystick.drawdowns (
  amount numeric(38,0) not null,
  grant_id uuid not null,
  line smallint not null,
  store_id uuid not null,
  transaction_id uuid not null,
  constraint drawdowns_amount_check CHECK ((amount <> (0)::numeric)),
  constraint drawdowns_pkey PRIMARY KEY (store_id, transaction_id, line, grant_id)
);

create table tallystick.entries (
  account_id uuid not null,
  amount numeric(38,0) not null,
  balance_after numeric(38,0),
  created_at timestamp(3) with time zone not null,
  line smallint not null,
  seq bigint,
  store_id uuid not null,
  transaction_id uuid not null,
  constraint entries_amount_check CHECK ((amount <> (0)::numeric)),
  constraint entries_balance_after_check CHECK ((balance_after >= (0)::numeric)),
  constraint entries_check CHECK (((seq IS NULL) = (balance_after IS NULL))),
  constraint entries_pkey PRIMARY KEY (store_id, transaction_id, line)
);

create table tallystick.grants (
  account_id uuid not null,
  amount numeric(38,0) not null,
  announced_at timestamp(3) with time zone,
  category text not null,
  created_at timestamp(3) with time zone not null,
  effective_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone,
  free boolean generated always as ((remaining > held)) stored,
  grant_id uuid not null,
  held numeric(38,0) not null default 0,
  open boolean generated always as ((remaining > (0)::numeric)) stored,
  priority smallint not null,
  remaining numeric(38,0) not null,
  store_id uuid not null,
  transaction_id uuid not null,
  void_transaction_id uuid,
  voided_at timestamp(3) with time zone,
  constraint grants_amount_check CHECK ((amount > (0)::numeric)),
  constraint grants_category_check CHECK ((category = ANY (ARRAY['paid'::text, 'promotional'::text]))),
  constraint grants_check CHECK (((remaining >= (0)::numeric) AND (remaining <= amount))),
  constraint grants_held CHECK (((held >= (0)::numeric) AND (held <= remaining))),
  constraint grants_pkey PRIMARY KEY (store_id, grant_id),
  constraint grants_priority_check CHECK (((priority >= 0) AND (priority <= 100)))
);

create table tallystick.holds (
  account_id uuid not null,
  amount numeric(38,0) not null,
  captured numeric(38,0) not null,
  created_at timestamp(3) with time zone not null,
  expires_at timestamp(3) with time zone not null,
  fingerprint uuid not null,
  hold_id uuid not null,
  idempotency_key text not null,
  pins jsonb not null,
  reference text not null,
  remaining numeric(38,0) not null,
  status text not null,
  store_id uuid not null,
  updated_at timestamp(3) with time zone not null,
  constraint holds_amount_check CHECK ((amount > (0)::numeric)),
  constraint holds_captured_check CHECK ((captured >= (0)::numeric)),
  constraint holds_check CHECK (((remaining >= (0)::numeric) AND (remaining <= amount))),
  constraint holds_check1 CHECK (((status = 'open'::text) OR (remaining = (0)::numeric))),
  constraint holds_pkey PRIMARY KEY (store_id, hold_id),
  constraint holds_status_check CHECK ((status = ANY (ARRAY['open'::text, 'captured'::text, 'released'::text, 'expired'::text]))),
  constraint holds_store_id_idempotency_key_key UNIQUE (store_id, idempotency_key)
);

create table tallystick.migrations (
  applied_at timestamp(3) with time zone not null default now(),
  name text not null,
  version integer not null,
  constraint migrations_pkey PRIMARY KEY (version)
);

create table tallystick.outbox (
  account_id uuid not null,
  body text not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  seq bigint not null,
  store_id uuid not null,
  type text not null,
  constraint outbox_pkey PRIMARY KEY (store_id, endpoint_id, event_id)
);

create table tallystick.stores (
  breakage_id uuid not null,
  clock timestamp(3) with time zone,
  created_at timestamp(3) with time zone not null default now(),
  issuance_id uuid not null,
  mode text not null,
  name text not null,
  redemption_id uuid not null,
  schema integer not null default 11,
  store_id uuid not null,
  constraint stores_check CHECK (((clock IS NULL) OR (mode = 'test'::text))),
  constraint stores_mode_check CHECK ((mode = ANY (ARRAY['test'::text, 'live'::text]))),
  constraint stores_name_mode_key UNIQUE (name, mode),
  constraint stores_pkey PRIMARY KEY (store_id)
);

create table tallystick.transactions (
  created_at timestamp(3) with time zone not null,
  description text,
  fingerprint uuid not null,
  hold_id uuid,
  idempotency_key text not null,
  metadata jsonb,
  operation text not null,
  reference text not null,
  reversal_of uuid,
  store_id uuid not null,
  transaction_id uuid not null,
  constraint transactions_pkey PRIMARY KEY (store_id, transaction_id),
  constraint transactions_store_id_idempotency_key_key UNIQUE (store_id, idempotency_key)
);

create table tallystick.webhook_endpoints (
  created_at timestamp(3) with time zone not null default now(),
  delivery_mode text not null,
  disabled_at timestamp(3) with time zone,
  disabled_reason text,
  endpoint_id uuid not null,
  events text[] not null,
  failing_since timestamp(3) with time zone,
  lease_owner uuid,
  lease_until timestamp with time zone,
  name text,
  previous_secret text,
  previous_secret_until timestamp(3) with time zone,
  secret text not null,
  signature text not null,
  status text not null,
  store_id uuid not null,
  updated_at timestamp(3) with time zone not null default now(),
  url text not null,
  constraint webhook_endpoints_delivery_mode_check CHECK ((delivery_mode = ANY (ARRAY['http'::text, 'cli'::text]))),
  constraint webhook_endpoints_pkey PRIMARY KEY (store_id, endpoint_id),
  constraint webhook_endpoints_signature_check CHECK ((signature = ANY (ARRAY['creem'::text, 'standard'::text, 'both'::text]))),
  constraint webhook_endpoints_status_check CHECK ((status = ANY (ARRAY['enabled'::text, 'disabled'::text]))),
  constraint webhook_endpoints_store_id_fkey FOREIGN KEY (store_id) REFERENCES tallystick.stores(store_id)
);

CREATE INDEX deliveries_due ON tallystick.deliveries USING btree (store_id, endpoint_id, due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX drawdowns_grant ON tallystick.drawdowns USING btree (store_id, grant_id);
CREATE UNIQUE INDEX entries_history ON tallystick.entries USING btree (store_id, account_id, seq) WHERE (seq IS NOT NULL);
CREATE INDEX grants_account ON tallystick.grants USING btree (store_id, account_id, grant_id);
CREATE INDEX grants_due ON tallystick.grants USING btree (store_id, expires_at) WHERE free;
CREATE INDEX grants_ending ON tallystick.grants USING btree (store_id, account_id, LEAST(expires_at, voided_at)) WHERE open;
CREATE INDEX grants_to_come ON tallystick.grants USING btree (store_id, account_id, effective_at) WHERE (effective_at > created_at);
CREATE INDEX grants_transaction ON tallystick.grants USING btree (store_id, transaction_id);
CREATE INDEX grants_unannounced ON tallystick.grants USING btree (store_id, expires_at) WHERE (open AND (announced_at IS NULL));
CREATE INDEX grants_use ON tallystick.grants USING btree (store_id, account_id, free, priority, expires_at, ((category = 'paid'::text)), effective_at, created_at, grant_id) WHERE open;
CREATE INDEX holds_account ON tallystick.holds USING btree (store_id, account_id, hold_id);
CREATE INDEX holds_due ON tallystick.holds USING btree (store_id, expires_at) WHERE ((status = 'open'::text) AND (amount > (0)::numeric));
CREATE INDEX holds_open ON tallystick.holds USING btree (store_id, account_id, expires_at) WHERE (status = 'open'::text);
CREATE INDEX transactions_reference ON tallystick.transactions USING btree (store_id, reference, transaction_id);
CREATE UNIQUE INDEX transactions_reversal_of ON tallystick.transactions USING btree (store_id, reversal_of) WHERE (reversal_of IS NOT NULL);

CREATE TRIGGER drawdowns_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON tallystick.drawdowns FOR EACH STATEMENT EXECUTE FUNCTION tallystick.refuse_change();
CREATE TRIGGER entries_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON tallystick.entries FOR EACH STATEMENT EXECUTE FUNCTION tallystick.refuse_change();
CREATE TRIGGER transactions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON tallystick.transactions FOR EACH STATEMENT EXECUTE FUNCTION tallystick.refuse_change();

CREATE OR REPLACE FUNCTION tallystick.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception '% is append-only: post a reversal instead', tg_table_name
    using errcode = 'restrict_violation';
end
$function$
;
