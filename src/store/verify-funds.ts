import { firstOfEach, nextPlace, UUID_MAX, UUID_MIN, type Walk } from './verify-walk.js';

/**
 * What must hold of grants, drawdowns and holds, in the style of `verify-checks.ts`.
 *
 * The general pool is stored nowhere: it is the balance less what remains of grants. That it is
 * what the entries say follows from four sums: entries add up to the balance (`verify-checks.ts`);
 * a grant is a credit of its account (`grant_without_credit`); what remains of it is that credit
 * less its drawdowns (`grant_remaining_differs`); and drawdowns belong to lines of that account
 * and are no more than those (`drawdown_misplaced`, `drawdowns_exceed_line`). So balance less
 * grants is all credits to the pool less all that lines took beyond their drawdowns.
 */

/** What open holds keep of a grant. */
const PINNED = `(select coalesce(sum((pin ->> 1)::numeric), 0)
        from tallystick.holds as h cross join lateral jsonb_array_elements(h.pins) as pin
        where h.store_id = $1 and h.account_id = g.account_id and h.status = 'open'
          and pin ->> 0 = g.grant_id::text)`;

const accounts: Walk = {
  name: 'funds',
  place: ['account_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('accounts', ['account_id']),
  faults: `with judged as (
      select a.account_id, null::uuid as transaction_id, null::smallint as line, a.balance,
        a.held, a.open_holds, a.open_grants, h.kept, h.holds, g.remaining, g.grants
      from tallystick.accounts as a
      cross join lateral (
        select coalesce(sum(remaining), 0) as kept, count(*) as holds from tallystick.holds
        where store_id = $1 and account_id = a.account_id and status = 'open'
      ) as h
      cross join lateral (
        select coalesce(sum(remaining), 0) as remaining, count(*) as grants
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
        kind: 'pool_negative',
        broken: 'balance < remaining',
        expected: "'grants of at most ' || balance",
        found: 'remaining',
      },
    ])}`,
};

const grants: Walk = {
  name: 'grants',
  place: ['grant_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('grants', ['grant_id']),
  faults: `with judged as (
      select g.transaction_id, g.account_id, null::smallint as line, g.amount, g.remaining,
        least(g.expires_at, g.voided_at) as ended_at, a.posted_at, ${PINNED} as pinned,
        (select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
          where d.store_id = $1 and d.grant_id = g.grant_id) as drawn,
        (select e.amount from tallystick.entries as e join tallystick.transactions as t
            on t.store_id = $1 and t.transaction_id = e.transaction_id
          where e.store_id = $1 and e.transaction_id = g.transaction_id
            and e.account_id = g.account_id and t.operation in ('seed', 'credit')) as credited
      from tallystick.grants as g
      left join tallystick.accounts as a on a.store_id = $1 and a.account_id = g.account_id
      where g.store_id = $1 and g.grant_id > $2 and g.grant_id <= $3
    )
    ${firstOfEach([
      {
        kind: 'grant_without_credit',
        broken: 'credited is distinct from amount',
        expected: "'a credit of ' || amount",
        found: "coalesce(credited::text, 'none')",
      },
      {
        kind: 'grant_remaining_differs',
        broken: 'remaining <> amount - drawn',
        expected: 'amount - drawn',
        found: 'remaining',
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
        (select coalesce(sum((pin ->> 1)::numeric), 0)
          from jsonb_array_elements(h.pins) as pin) as pinned,
        exists (select from tallystick.accounts as a
          where a.store_id = $1 and a.account_id = h.account_id) as owned
      from tallystick.holds as h
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
        kind: 'return_not_of_draw',
        broken: "amount < 0 and (operation <> 'reverse' or -amount is distinct from original)",
        expected: "coalesce(original::text, 'none')",
        found: '-amount',
      },
    ])}`,
};

export const FUND_WALKS: readonly Walk[] = [accounts, grants, holds, drawdowns];
