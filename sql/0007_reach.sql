-- Caution: rewrites grants, updates accounts with grants and builds indexes anew; nothing is read or written meanwhile.

-- What holds keep, counted where it is kept, so that a command on an account with very many grants
-- and holds reads only what it can reach, and a search for what is due finds nothing in vain.
alter table tallystick.accounts
  add column free_in_grants numeric(38, 0) not null default 0 check (free_in_grants >= 0);
alter table tallystick.grants
  add column held numeric(38, 0) not null default 0,
  add constraint grants_held check (held >= 0 and held <= remaining);

update tallystick.grants as g set held = kept.amount
from (
  select store_id, (pin ->> 0)::uuid as grant_id, sum((pin ->> 1)::numeric) as amount
  from tallystick.holds cross join lateral jsonb_array_elements(pins) as pin
  where status = 'open' and pin ->> 0 is not null
  group by store_id, pin ->> 0
) as kept
where g.store_id = kept.store_id and g.grant_id = kept.grant_id;

update tallystick.accounts as a set free_in_grants = own.amount
from (
  select store_id, account_id, sum(remaining - held) as amount
  from tallystick.grants where remaining > 0 group by store_id, account_id
) as own
where a.store_id = own.store_id and a.account_id = own.account_id;

-- Whether anything is left that no hold keeps. It changes seldom, as open does, and unlike the
-- amounts that it follows from it may stand in an index.
alter table tallystick.grants
  add column free boolean generated always as (remaining > held) stored;

-- Exactly the order of use, so that the grants of an account are read from its front.
drop index tallystick.grants_open;
create index grants_use on tallystick.grants (store_id, account_id, free, priority, expires_at,
  (category = 'paid'), effective_at, created_at, grant_id) where open;
drop index tallystick.holds_open;
create index holds_open on tallystick.holds (store_id, account_id, expires_at)
  where status = 'open';

drop index tallystick.grants_due;
create index grants_due on tallystick.grants (store_id, expires_at) where free;

-- The condition on the amount is always true: the search for what is due in a store states it and
-- nothing else does, so that no look-up in one account is planned with this index, which would
-- lead it through all that is due in the store.
drop index tallystick.holds_due;
create index holds_due on tallystick.holds (store_id, expires_at)
  where status = 'open' and amount > 0;
