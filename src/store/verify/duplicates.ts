/** What must be unique in a store, as SQL that selects what is not; see `checks.ts`. */

export interface Duplicate {
  readonly name: string;
  readonly sql: string;
}

/** Looks for columns that occur twice; unique indexes stand before it, where they are intact. */
function duplicate(
  kind: string,
  table: 'transactions' | 'accounts',
  columns: readonly string[],
): Duplicate {
  const list = columns.join(', ');
  const ids =
    table === 'transactions' ? 't.transaction_id, null::uuid' : 'null::uuid, t.account_id';
  const id = table === 'transactions' ? 'transaction_id' : 'account_id';
  return {
    name: `unique ${list}`,
    sql: `with twice as (
        select ${list}, count(*) over () as kinds from tallystick.${table}
        where store_id = $1 and ${columns[0]} is not null
        group by ${list} having count(*) > 1
        order by ${list} limit 1
      )
      select '${kind}' as kind, twice.kinds::text as count, ids.transaction_id, ids.account_id,
        null::smallint as line, 'one' as expected, 'more, the last of which is shown' as found
      from twice cross join lateral (
        select ${ids} from tallystick.${table} as t
        where t.store_id = $1
          and ${columns.map((column) => `t.${column} = twice.${column}`).join(' and ')}
        order by t.${id} desc limit 1
      ) as ids (transaction_id, account_id)`,
  };
}

export const DUPLICATES: readonly Duplicate[] = [
  duplicate('key_used_twice', 'transactions', ['idempotency_key']),
  duplicate('reversed_twice', 'transactions', ['reversal_of']),
  duplicate('name_used_twice', 'accounts', ['customer_id', 'name_key']),
];
