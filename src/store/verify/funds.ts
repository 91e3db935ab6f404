import { pools } from './pools.js';
import { firstOfEach, nextPlace, UUID_MAX, UUID_MIN, type Walk } from './walk.js';

/** What must hold of grants, drawdowns and holds, in the style of `checks.ts`. */

const accounts: Walk = {
  name: 'funds',
  place: ['account_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('accounts', ['account_id']),
  faults: `with judged as (
      select a.account_id, null::uuid as transaction_id, null::smallint as line, a.balance,
        a.held, a.open_holds, a.open_grants, a.has_grants, a.free_in_grants, h.kept, h.holds,
        h.kept_of_pool, g.remaining, g.grants, g.free, exists (select from tallystick.grants as any_grant
          where any_grant.store_id = $1 and any_grant.account_id = a.account_id) as granted
      from tallystick.accounts as a
      cross join lateral (
        select coalesce(sum(remaining), 0) as kept, count(*) as holds,
          coalesce(sum((select sum((pin ->> 1)::numeric) from jsonb_array_elements(pins) as pin
            where pin ->> 0 is null)), 0) as kept_of_pool
        from tallystick.holds
        where store_id = $1 and account_id = a.account_id and status = 'open'
      ) as h
      cross join lateral (
        select coalesce(sum(remaining), 0) as remaining, count(*) as grants,
          coalesce(sum(remaining - held), 0) as free
        from tallystick.grants
        where store_id = $1 and account_id = a.account_id and remaining > 0
      ) as g
      where a.store_id = $1 and a.account_id > $2 and a.account_id <= $3
    )
    ${firstOfEach([
      { kind: 'held_differs', broken: 'held <> kept', expected: 'kept', found: 'held' },
      {
        kind: 'open_holds_differ',
        broken: 'open_holds <> holds',
        expected: 'holds',
        found: 'open_holds',
      },
      {
        kind: 'open_grants_differ',
        broken: 'open_grants <> grants',
        expected: 'grants',
        found: 'open_grants',
      },
      {
        kind: 'free_in_grants_differs',
        broken: 'free_in_grants <> free',
        expected: 'free',
        found: 'free_in_grants',
      },
      {
        kind: 'pool_negative',
        broken: 'balance < remaining',
        expected: "'grants of at most ' || balance",
        found: 'remaining',
      },
      {
        kind: 'pool_held_twice',
        broken: 'balance >= remaining and balance - remaining < kept_of_pool',
        expected: "'holds of at most ' || (balance - remaining)",
        found: 'kept_of_pool',
      },
      {
        kind: 'has_grants_differs',
        broken: 'has_grants <> granted',
        expected: 'granted',
        found: 'has_grants',
      },
    ])}`,
};

const grants: Walk = {
  name: 'grants',
  place: ['grant_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('grants', ['grant_id']),
  // What holds keep is added up once for all grants of a range, and looked up there: each grant for
  // itself would read all holds of its account.
  faults: `with own as materialized (
      select * from tallystick.grants
      where store_id = $1 and grant_id > $2 and grant_id <= $3
    ), kept as (
      select jsonb_object_agg(grant_id, amount) from (
        select pin ->> 0 as grant_id, sum((pin ->> 1)::numeric) as amount
        from (select distinct account_id from own) as o
        cross join lateral (select pins from tallystick.holds
          where store_id = $1 and account_id = o.account_id and status = 'open' offset 0) as h
        cross join lateral jsonb_array_elements(h.pins) as pin
        where pin ->> 0 is not null group by 1
      ) as pinned
    ), judged as (
      select g.transaction_id, g.account_id, null::smallint as line, g.amount, g.remaining, g.held,
        least(g.expires_at, g.voided_at) as ended_at, a.posted_at,
        coalesce(((select * from kept) ->> g.grant_id::text)::numeric, 0) as pinned,
        (select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
          where d.store_id = $1 and d.grant_id = g.grant_id) as drawn,
        (select sum(e.amount) from tallystick.entries as e join tallystick.transactions as t
            on t.store_id = $1 and t.transaction_id = e.transaction_id
          where e.store_id = $1 and e.transaction_id = g.transaction_id
            and e.account_id = g.account_id and t.operation in ('seed', 'credit')) as credited,
        (select count(*) from tallystick.grants as o
          where o.store_id = $1 and o.transaction_id = g.transaction_id) as made,
        g.void_transaction_id, g.void_transaction_id is null or exists (
          select from tallystick.drawdowns as d join tallystick.transactions as t
            on t.store_id = $1 and t.transaction_id = d.transaction_id
          where d.store_id = $1 and d.transaction_id = g.void_transaction_id
            and d.grant_id = g.grant_id and t.operation = 'void') as void_linked
      from own as g
      left join tallystick.accounts as a on a.store_id = $1 and a.account_id = g.account_id
    )
    ${firstOfEach([
      {
        kind: 'grant_without_credit',
        broken: 'credited is distinct from amount',
        expected: "'a credit of ' || amount",
        found: "coalesce(credited::text, 'none')",
      },
      { kind: 'credit_granted_twice', broken: 'made > 1', expected: "'one'", found: 'made' },
      {
        kind: 'grant_remaining_differs',
        broken: 'remaining <> amount - drawn',
        expected: 'amount - drawn',
        found: 'remaining',
      },
      {
        kind: 'grant_held_differs',
        broken: 'held <> pinned',
        expected: 'pinned',
        found: 'held',
      },
      {
        kind: 'grant_held_twice',
        broken: 'pinned > remaining',
        expected: "'holds of at most ' || remaining",
        found: 'pinned',
      },
      {
        kind: 'grant_expired_counted',
        broken: 'ended_at <= posted_at and remaining > pinned',
        expected: 'pinned',
        found: 'remaining',
      },
      {
        kind: 'void_not_linked',
        broken: 'not void_linked',
        expected: "'a void that took from it'",
        found: 'void_transaction_id',
      },
    ])}`,
};

const holds: Walk = {
  name: 'holds',
  place: ['hold_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('holds', ['hold_id']),
  faults: `with judged as (
      select h.account_id, null::uuid as transaction_id, null::smallint as line, h.remaining,
        h.amount, h.captured, h.status, h.expires_at, a.posted_at,
        a.account_id is not null as owned,
        (select coalesce(sum((pin ->> 1)::numeric), 0)
          from jsonb_array_elements(h.pins) as pin) as pinned,
        (select min(pin ->> 0) from jsonb_array_elements(h.pins) as pin
          where pin ->> 0 is not null and not exists (select from tallystick.grants as g
            where g.store_id = $1 and g.grant_id = (pin ->> 0)::uuid
              and g.account_id = h.account_id)) as foreign_pin
      from tallystick.holds as h
      left join tallystick.accounts as a on a.store_id = $1 and a.account_id = h.account_id
      where h.store_id = $1 and h.hold_id > $2 and h.hold_id <= $3
    )
    ${firstOfEach([
      {
        kind: 'hold_pins_differ',
        broken: 'remaining <> pinned',
        expected: 'remaining',
        found: 'pinned',
      },
      {
        kind: 'hold_amount_differs',
        broken: "status = 'open' and amount <> captured + remaining",
        expected: 'captured + remaining',
        found: 'amount',
      },
      {
        kind: 'hold_pin_misplaced',
        broken: 'foreign_pin is not null',
        expected: "'grants of its account'",
        found: 'foreign_pin',
      },
      {
        kind: 'hold_expired_counted',
        broken: "status = 'open' and expires_at <= posted_at",
        expected: "'an end after ' || posted_at",
        found: 'expires_at',
      },
      {
        kind: 'hold_without_account',
        broken: 'not owned',
        expected: "'an account'",
        found: "'none'",
      },
    ])}`,
};

const drawdowns: Walk = {
  name: 'drawdowns',
  place: ['transaction_id', 'line', 'grant_id'],
  first: [UUID_MIN, -1, UUID_MIN],
  last: [UUID_MAX, 32_767, UUID_MAX],
  next: nextPlace('drawdowns', ['transaction_id', 'line', 'grant_id']),
  faults: `with judged as (
      select d.transaction_id, d.line, g.account_id, d.amount, t.operation, t.created_at,
        g.effective_at, g.expires_at,
        case t.operation when 'expire' then g.expires_at when 'void' then g.voided_at end
          as due_at,
        e.account_id as line_account_id, e.amount as line_amount,
        (select sum(abs(o.amount)) from tallystick.drawdowns as o where o.store_id = $1
          and o.transaction_id = d.transaction_id and o.line = d.line) as drawn,
        (select o.amount from tallystick.drawdowns as o where o.store_id = $1
          and o.transaction_id = t.reversal_of and o.line = d.line
          and o.grant_id = d.grant_id) as original
      from tallystick.drawdowns as d
      left join tallystick.grants as g on g.store_id = $1 and g.grant_id = d.grant_id
      left join tallystick.transactions as t
        on t.store_id = $1 and t.transaction_id = d.transaction_id
      left join tallystick.entries as e
        on e.store_id = $1 and e.transaction_id = d.transaction_id and e.line = d.line
      where d.store_id = $1 and (d.transaction_id, d.line, d.grant_id) > ($2, $3, $4)
        and (d.transaction_id, d.line, d.grant_id) <= ($5, $6, $7)
    )
    ${firstOfEach([
      {
        kind: 'drawdown_misplaced',
        broken: 'account_id is null or account_id is distinct from line_account_id',
        expected: "'a grant of the account of its line'",
        found: "coalesce(line_account_id::text, 'no line')",
      },
      {
        kind: 'drawdowns_exceed_line',
        broken: 'drawn > abs(line_amount)',
        expected: "'at most ' || abs(line_amount)",
        found: 'drawn',
      },
      {
        kind: 'drawdown_of_wrong_sign',
        broken: '(amount > 0) <> (line_amount < 0)',
        expected: "'a draw on a debit, or a return on a credit'",
        found: 'amount',
      },
      // A capture may draw later: its hold has kept the credits for it.
      {
        kind: 'drawn_outside_life',
        broken: `amount > 0 and operation in ('debit', 'post')
          and (created_at < effective_at or created_at >= expires_at)`,
        expected: "effective_at || ' to ' || coalesce(expires_at::text, 'never')",
        found: 'created_at',
      },
      {
        kind: 'ended_early',
        broken: "operation in ('expire', 'void') and (created_at >= due_at) is not true",
        expected: "'not before ' || coalesce(due_at::text, 'its end, of which it has none')",
        found: 'created_at',
      },
      {
        kind: 'return_not_of_draw',
        broken: "amount < 0 and (operation <> 'reverse' or -amount is distinct from original)",
        expected: "coalesce(original::text, 'none')",
        found: '-amount',
      },
    ])}`,
};

export const FUND_WALKS: readonly Walk[] = [accounts, grants, pools, holds, drawdowns];
