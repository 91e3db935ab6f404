-- Caution: updates voided grants; commands on them wait meanwhile.

-- A void answers with what it took at once, also when it is asked for again.

-- Null where all was kept by holds, of which each takes its part along when it ends.
alter table tallystick.grants add column void_transaction_id uuid;

update tallystick.grants as g set void_transaction_id = t.transaction_id
from tallystick.drawdowns as d, tallystick.transactions as t
where d.store_id = g.store_id and d.grant_id = g.grant_id
  and t.store_id = g.store_id and t.transaction_id = d.transaction_id
  and t.operation = 'void' and t.created_at = g.voided_at;
