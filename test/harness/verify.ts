import { expect } from 'vitest';
import type { Db } from '../../src/store/engine/db.js';

/** What must be true of any ledger, asked of the tables themselves; each row is a fault. */
const FAULTS: Record<string, string> = {
  'a transaction does not sum to zero': `select transaction_id from tallystick.entries
    group by store_id, transaction_id having sum(amount) <> 0 or count(*) < 2`,
  'a transaction has no lines': `select t.transaction_id from tallystick.transactions t
    where not exists (select from tallystick.entries e
      where e.store_id = t.store_id and e.transaction_id = t.transaction_id)`,
  'a line has no transaction, or another time': `select e.transaction_id from tallystick.entries e
    left join tallystick.transactions t using (store_id, transaction_id)
    where t.created_at is distinct from e.created_at`,
  'a history has a gap, or goes back in time': `select account_id, seq from (
      select account_id, seq, created_at,
        lag(seq, 1, 0::bigint) over history as seq_before,
        lag(created_at, 1, created_at) over history as time_before
      from tallystick.entries where seq is not null
      window history as (partition by store_id, account_id order by seq)
    ) as line where seq <> seq_before + 1 or created_at < time_before`,
  'a balance does not follow from the one before': `select account_id, seq from (
      select account_id, seq, amount, balance_after,
        lag(balance_after, 1, 0::numeric) over history as balance_before
      from tallystick.entries where seq is not null
      window history as (partition by store_id, account_id order by seq)
    ) as line where balance_after <> balance_before + amount`,
  'an account differs from its last line': `select a.account_id from tallystick.accounts a
    left join lateral (
      select seq, balance_after, created_at from tallystick.entries e
      where e.store_id = a.store_id and e.account_id = a.account_id and seq is not null
      order by seq desc limit 1
    ) as last on true
    where a.balance <> coalesce(last.balance_after, 0) or a.version <> coalesce(last.seq, 0)
      or a.posted_at <> coalesce(last.created_at, a.created_at)`,
  'a reversal does not mirror its original': `select r.transaction_id
    from tallystick.transactions r
    cross join lateral (
      select coalesce(array_agg((line, account_id, -amount)::text order by line), '{}') as lines
      from tallystick.entries where store_id = r.store_id and transaction_id = r.transaction_id
    ) as mirror
    cross join lateral (
      select coalesce(array_agg((line, account_id, amount)::text order by line), '{}') as lines
      from tallystick.entries where store_id = r.store_id and transaction_id = r.reversal_of
    ) as original
    where r.reversal_of is not null and mirror.lines <> original.lines`,
  'a key is there twice': `select idempotency_key from tallystick.transactions
    group by store_id, idempotency_key having count(*) > 1`,
};

/** Fails where the tables do not add up. */
export async function expectSound(db: Db): Promise<void> {
  for (const [fault, query] of Object.entries(FAULTS)) {
    const { rows } = await db.query(query);
    expect(rows.slice(0, 3), fault).toEqual([]);
  }
}

/** How much there is of everything, to show that a refused request wrote nothing. */
export async function countRows(db: Db): Promise<string> {
  const { rows } = await db.query(`select
    (select count(*) from tallystick.accounts) || ' accounts, ' ||
    (select count(*) from tallystick.transactions) || ' transactions, ' ||
    (select count(*) from tallystick.entries) || ' entries, version ' ||
    (select coalesce(sum(version), 0) from tallystick.accounts) as counts`);
  return rows[0].counts;
}

/** A digest of every table but that of keys, whose last use is noted whatever becomes of it. */
export async function digestRows(db: Db): Promise<Record<string, string>> {
  const { rows } = await db.query(`select table_name as name from information_schema.tables
    where table_schema = 'tallystick' and table_type = 'BASE TABLE' and table_name <> 'api_keys'`);
  const digests: Record<string, string> = {};
  for (const { name } of rows) {
    const digest = await db.query(`select md5(coalesce(
      string_agg(md5(item::text), '' order by md5(item::text)), '')) as digest
      from tallystick.${name} as item`);
    digests[name] = digest.rows[0].digest;
  }
  return digests;
}
