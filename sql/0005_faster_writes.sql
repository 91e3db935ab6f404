-- Caution: rewrites grants and builds indexes of transactions, accounts and holds anew; nothing is read or written meanwhile.

-- What is only ever compared for equality is compared byte by byte: under the collation of a
-- language a look-up by key costs several times as much, and a key's order means nothing.
alter table tallystick.accounts
  alter column customer_id type text collate "C",
  alter column name_key type text collate "C";
alter table tallystick.transactions
  alter column reference type text collate "C",
  alter column idempotency_key type text collate "C";
alter table tallystick.holds
  alter column idempotency_key type text collate "C";

-- Drawing from a grant changes what remains of it. With that column in the conditions of three
-- indexes each draw wrote to all six; whether anything remains changes once in a grant's life.
alter table tallystick.grants add column open boolean generated always as (remaining > 0) stored;
drop index tallystick.grants_open;
drop index tallystick.grants_due;
drop index tallystick.grants_unannounced;
create index grants_open on tallystick.grants (store_id, account_id) where open;
create index grants_due on tallystick.grants (store_id, expires_at) where open;
create index grants_unannounced on tallystick.grants (store_id, expires_at)
  where open and announced_at is null;
alter table tallystick.grants set (fillfactor = 60);
