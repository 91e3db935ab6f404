-- Fills a store with history at once: a million transactions a call, over the accounts that are
-- there, each a credit of 1 with both its lines, a millisecond after the account's last one.
with store as (select store_id, issuance_id from tallystick.stores limit 1),
numbered as (
  select account_id, version, balance, posted_at, row_number() over (order by account_id) - 1 as n
  from tallystick.accounts where store_id = (select store_id from store) and customer_id like :'who'
),
spread as (
  -- How many accounts there are is a value of its own, so that the join below can be hashed.
  select g, g % (select count(*) from numbered) as n, g / (select count(*) from numbered) as round
  from generate_series(0, :count - 1) as g
),
made as (
  select g, ('00000000-0000-7000-8000-' || lpad(to_hex(:first + g), 12, '0'))::uuid as id, a.account_id, a.version + 1 + round as seq,
    a.balance + 1 + round as balance_after,
    a.posted_at + (1 + round) * interval '1 millisecond' as at
  from spread join numbered a using (n)
),
written as (
  insert into tallystick.transactions (store_id, transaction_id, operation, reference,
    idempotency_key, fingerprint, created_at)
  select s.store_id, id, 'credit', 'seed_' || (:first + g), 'seed_' || (:first + g), id, at
  from made cross join store s
),
lines as (
  insert into tallystick.entries (store_id, transaction_id, line, account_id, amount, seq,
    balance_after, created_at)
  select s.store_id, id, 0, account_id, 1, seq, balance_after, at from made cross join store s
  union all
  select s.store_id, id, 1, s.issuance_id, -1, null, null, at from made cross join store s
)
update tallystick.accounts a
set version = m.seq, balance = m.balance_after, posted_at = m.at
from (select account_id, max(seq) as seq, max(balance_after) as balance_after,
    max(at) as at
  from made group by 1) m
where a.store_id = (select store_id from store) and a.account_id = m.account_id;
