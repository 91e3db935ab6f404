import { firstOfEach, nextPlace, UUID_MAX, UUID_MIN, type Walk } from './walk.js';

/**
 * What must hold of the stored rows, as SQL that selects what does not. A new table adds a walk
 * or its kinds here, and nothing else changes.
 *
 * A statement answers one row for each kind of difference that it meets: how often it occurs, and
 * the ids, the expected and the found value of its first occurrence.
 */

const SEQ_MIN = '-9223372036854775808';
const SEQ_MAX = '9223372036854775807';

const transactions: Walk = {
  name: 'transactions',
  place: ['transaction_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('transactions', ['transaction_id']),
  needsSystemAccounts: true,
  faults: `with heads as (
      select transaction_id as head_id, created_at, operation, reversal_of
      from tallystick.transactions
      where store_id = $1 and transaction_id > $2 and transaction_id <= $3
    ), sums as (
      select transaction_id as sum_id, count(*) as lines, sum(amount) as total,
        sum(amount) filter (where seq is not null) as moved,
        max(line) as last_line, min(created_at) as earliest, max(created_at) as latest,
        bool_and((seq is null) = (account_id = $4 or account_id = $5 or account_id = $6)) as placed
      from tallystick.entries
      where store_id = $1 and transaction_id > $2 and transaction_id <= $3
      group by transaction_id
    ), judged as (
      select coalesce(head_id, sum_id) as transaction_id, null::uuid as account_id,
        null::smallint as line, *,
        case when operation in ('expire', 'void') then (
          select sum(d.amount) from tallystick.drawdowns as d
          where d.store_id = $1 and d.transaction_id = head_id
        ) end as drawn
      from heads full join sums on sum_id = head_id
    )
    ${firstOfEach([
      {
        kind: 'transaction_without_entries',
        broken: 'sum_id is null',
        expected: "'entries'",
        found: "'none'",
      },
      {
        kind: 'entries_without_transaction',
        broken: 'head_id is null',
        expected: "'a transaction'",
        found: "'none'",
      },
      {
        kind: 'transaction_not_balanced',
        broken: 'total <> 0',
        expected: "'lines that sum to 0'",
        found: 'total',
      },
      {
        kind: 'transaction_with_one_line',
        broken: 'lines < 2',
        expected: "'at least 2 lines'",
        found: 'lines',
      },
      {
        kind: 'line_missing',
        broken: 'last_line <> lines - 1',
        expected: "(last_line + 1) || ' lines'",
        found: 'lines',
      },
      {
        kind: 'entry_time_differs',
        broken: 'earliest <> created_at or latest <> created_at',
        expected: 'created_at',
        found: 'case when earliest <> created_at then earliest else latest end',
      },
      {
        kind: 'entry_misplaced',
        broken: 'not placed',
        expected: "'a seq on lines of customer accounts, and on no other'",
        found: "'a line that differs'",
      },
      {
        kind: 'reversal_not_linked',
        broken: "(operation = 'reverse') <> (reversal_of is not null)",
        expected: "'a reversal with its original'",
        found: "'the operation ' || operation",
      },
      // What ends is always a grant: no part of it may come from the pool.
      {
        kind: 'ended_from_pool',
        broken: "operation in ('expire', 'void') and -moved is distinct from drawn",
        expected: '-moved',
        found: "coalesce(drawn::text, 'no drawdowns')",
      },
    ])}`,
};

const histories: Walk = {
  name: 'histories',
  place: ['account_id', 'seq'],
  first: [UUID_MIN, SEQ_MIN],
  last: [UUID_MAX, SEQ_MAX],
  next: nextPlace('entries', ['account_id', 'seq'], 'seq is not null'),
  // The range begins with the last row of the one before, which its first row must follow.
  faults: `with range as (
      select account_id, seq, transaction_id, line, amount, balance_after, created_at,
        lag(seq, 1, 0::bigint) over history as seq_before,
        lag(balance_after, 1, 0::numeric) over history as balance_before,
        lag(created_at, 1, '-infinity') over history as time_before
      from tallystick.entries
      where store_id = $1 and seq is not null
        and (account_id, seq) >= ($2, $3) and (account_id, seq) <= ($4, $5)
      window history as (partition by account_id order by seq)
    ), judged as (
      select * from range where (account_id, seq) > ($2, $3)
    )
    ${firstOfEach([
      {
        kind: 'seq_not_continued',
        broken: 'seq <> seq_before + 1',
        expected: 'seq_before + 1',
        found: 'seq',
      },
      {
        kind: 'balance_after_not_continued',
        broken: 'balance_after <> balance_before + amount',
        expected: 'balance_before + amount',
        found: 'balance_after',
      },
      {
        kind: 'balance_negative',
        broken: 'balance_after < 0',
        expected: "'0 or more'",
        found: 'balance_after',
      },
      {
        kind: 'time_runs_backwards',
        broken: 'created_at < time_before',
        expected: "'not before ' || time_before",
        found: 'created_at',
      },
      {
        kind: 'entries_without_account',
        broken: `case when seq_before = 0 then not exists (
          select from tallystick.accounts as a
          where a.store_id = $1 and a.account_id = j.account_id) end`,
        expected: "'an account'",
        found: "'none'",
      },
    ])}`,
};

const accounts: Walk = {
  name: 'accounts',
  place: ['account_id'],
  first: [UUID_MIN],
  last: [UUID_MAX],
  next: nextPlace('accounts', ['account_id']),
  faults: `with judged as (
      select a.account_id, null::uuid as transaction_id, null::smallint as line,
        a.balance, a.version, a.posted_at, coalesce(e.balance_after, 0) as last_balance,
        coalesce(e.seq, 0) as last_seq, coalesce(e.created_at, a.created_at) as last_time
      from tallystick.accounts as a
      left join lateral (
        select balance_after, seq, created_at from tallystick.entries
        where store_id = $1 and account_id = a.account_id and seq is not null
        order by store_id, account_id, seq desc limit 1
      ) as e on true
      where a.store_id = $1 and a.account_id > $2 and a.account_id <= $3
    )
    ${firstOfEach([
      {
        kind: 'stored_balance_differs',
        broken: 'balance <> last_balance',
        expected: 'last_balance',
        found: 'balance',
      },
      {
        kind: 'stored_version_differs',
        broken: 'version <> last_seq',
        expected: 'last_seq',
        found: 'version',
      },
      {
        kind: 'stored_time_differs',
        broken: 'posted_at <> last_time',
        expected: 'last_time',
        found: 'posted_at',
      },
    ])}`,
};

const linesOf = (id: string, sign: string) => `(
        select array_agg(line || ' ' || account_id || ' ' || (${sign}amount) order by line)
        from tallystick.entries where store_id = $1 and transaction_id = ${id})`;

/** What a transaction drew from grants, line by line; what it made is what its reversal draws. */
const DRAWN = `(
        select array_agg(line || ' ' || grant_id || ' ' || amount order by line, grant_id)
        from tallystick.drawdowns where store_id = $1 and transaction_id = r.transaction_id)`;
const TO_DRAW = `(
        select array_agg(line || ' ' || grant_id || ' ' || amount order by line, grant_id) from (
          select line, grant_id, -amount as amount from tallystick.drawdowns
          where store_id = $1 and transaction_id = r.reversal_of
          union all
          select e.line, g.grant_id, g.amount from tallystick.grants as g
          join tallystick.entries as e on e.store_id = $1
            and e.transaction_id = g.transaction_id and e.account_id = g.account_id
          where g.store_id = $1 and g.transaction_id = r.reversal_of
        ) as original)`;

const reversals: Walk = {
  name: 'reversals',
  place: ['reversal_of', 'transaction_id'],
  first: [UUID_MIN, UUID_MIN],
  last: [UUID_MAX, UUID_MAX],
  next: nextPlace('transactions', ['reversal_of', 'transaction_id'], 'reversal_of is not null'),
  faults: `with judged as (
      select r.transaction_id, null::uuid as account_id, null::smallint as line, r.reference,
        o.transaction_id as original_id, o.operation, o.reference as original_reference,
        ${linesOf('r.transaction_id', '')} as lines, ${linesOf('r.reversal_of', '-')} as mirror,
        ${DRAWN} as drawn, ${TO_DRAW} as to_draw
      from tallystick.transactions as r
      left join tallystick.transactions as o
        on o.store_id = $1 and o.transaction_id = r.reversal_of
      where r.store_id = $1 and r.reversal_of is not null
        and (r.reversal_of, r.transaction_id) > ($2, $3)
        and (r.reversal_of, r.transaction_id) <= ($4, $5)
    )
    ${firstOfEach([
      {
        kind: 'reversal_without_original',
        broken: 'original_id is null',
        expected: "'its original'",
        found: "'none'",
      },
      {
        kind: 'reversal_of_reversal',
        broken: "operation = 'reverse'",
        expected: "'an original that is no reversal'",
        found: "'a reversal'",
      },
      {
        kind: 'reversal_not_mirrored',
        broken: 'original_id is not null and lines is distinct from mirror',
        expected: "array_to_string(mirror, ', ')",
        found: "array_to_string(lines, ', ')",
      },
      {
        kind: 'reversal_not_returned',
        broken: 'drawn is distinct from to_draw',
        expected: "coalesce(array_to_string(to_draw, ', '), 'no drawdowns')",
        found: "coalesce(array_to_string(drawn, ', '), 'no drawdowns')",
      },
      {
        kind: 'reversal_reference_differs',
        broken: 'reference <> original_reference',
        expected: 'original_reference',
        found: 'reference',
      },
    ])}`,
};

export const WALKS: readonly Walk[] = [transactions, histories, accounts, reversals];
