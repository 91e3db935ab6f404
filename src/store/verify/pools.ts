import { firstOfEach, nextPlace, UUID_MAX, UUID_MIN, type Walk } from './walk.js';

/**
 * What must hold of the general pool. It is stored nowhere, and the write path takes it as the
 * balance less what remains of grants; to compare that with itself would prove nothing. So it is
 * computed again from the lines: a line moves into the pool its amount, less the grant that it
 * made, and what its drawdowns name came from no pool. Neither the stored balance nor what is
 * stored of a grant's remainder takes part in that.
 */

/** Only accounts with grants: in every other one the pool is the balance, line by line. */
export const pools: Walk = {
  name: 'pools',
  place: ['account_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('accounts', ['account_id'], 'has_grants'),
  // Each history is read in its index's order, so that the sum runs along without a sort.
  faults: `with judged as (
      select a.account_id, lines.transaction_id, lines.line, lines.pool,
        case when lines.seq = a.version then a.balance - g.remaining end as left_for_pool
      from tallystick.accounts as a
      cross join lateral (
        select coalesce(sum(remaining), 0) as remaining from tallystick.grants
        where store_id = $1 and account_id = a.account_id and open
      ) as g
      cross join lateral (
        select e.transaction_id, e.line, e.seq, sum(e.amount
            - case when e.amount > 0 then (
              select coalesce(sum(m.amount), 0) from tallystick.grants as m
              where m.store_id = $1 and m.transaction_id = e.transaction_id
                and m.account_id = e.account_id) else 0 end
            + (select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
              where d.store_id = $1 and d.transaction_id = e.transaction_id and d.line = e.line)
          ) over (order by e.seq rows unbounded preceding) as pool
        from tallystick.entries as e
        where e.store_id = $1 and e.account_id = a.account_id and e.seq is not null
      ) as lines
      where a.store_id = $1 and a.account_id > $2 and a.account_id <= $3 and a.has_grants
    )
    ${firstOfEach([
      {
        kind: 'pool_overdrawn',
        broken: 'pool < 0',
        expected: "'0 or more'",
        found: 'pool',
      },
      {
        kind: 'pool_differs',
        broken: 'pool <> left_for_pool',
        expected: 'pool',
        found: 'left_for_pool',
      },
    ])}`,
};
