-- Caution: builds two indexes of grants; nothing is written meanwhile.

-- What of an account has ended, ends next or is still to come is found without reading all grants.

-- In the order of their ends, of which a grant has two: its own, and that of being voided. Drawing
-- from a grant changes neither, nor whether it is open, so it goes on touching no index. A grant
-- that is made or used up pays for one index more.
create index grants_ending on tallystick.grants
  (store_id, account_id, (least(expires_at, voided_at))) where open;

-- Only a grant that was made before it begins can ever be still to come, so all others pay nothing.
-- Those that have begun or are used up stay, for the balance of the past is asked for as well.
create index grants_to_come on tallystick.grants (store_id, account_id, effective_at)
  where effective_at > created_at;
