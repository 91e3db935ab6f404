/** How checks are written down: as walks over tables, and the kinds of difference they find. */

/** A table read in the order of a key, one range after the other. */
export interface Walk {
  readonly name: string;
  /** The columns of the key, after the store. */
  readonly place: readonly string[];
  /** The places before and after every row. */
  readonly first: readonly unknown[];
  readonly last: readonly unknown[];
  /** Finds the last row of the next range: $1 is the store, $2 the rows, then the place. */
  readonly next: string;
  /** Finds differences: $1 is the store, then the places after which and up to which to look. */
  readonly faults: string;
  /** Whether the ids of the store's three system accounts follow. */
  readonly needsSystemAccounts?: true;
}

export const UUID_MIN = '00000000-0000-0000-0000-000000000000';
export const UUID_MAX = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** A kind of difference: its condition on a row of `judged`, and what to say of that row. */
interface Kind {
  readonly kind: string;
  readonly broken: string;
  readonly expected: string;
  readonly found: string;
}

/** Selects the first of each kind among the rows of `judged`, which has the id columns. */
export function firstOfEach(kinds: readonly Kind[]): string {
  const rows = kinds.map(
    ({ kind, broken, expected, found }) =>
      `('${kind}', ${broken}, (${expected})::text, (${found})::text)`,
  );
  return `select distinct on (f.kind) f.kind, count(*) over (partition by f.kind)::text as count,
      j.transaction_id, j.account_id, j.line, f.expected, f.found
    from judged as j
    cross join lateral (values ${rows.join(', ')}) as f (kind, broken, expected, found)
    where (${kinds.map(({ broken }) => `(${broken})`).join(' or ')}) and f.broken
    order by f.kind, j.transaction_id, j.account_id, j.line`;
}

export function nextPlace(table: string, place: readonly string[], where = 'true'): string {
  const columns = place.join(', ');
  const values = place.map((_, index) => `$${index + 3}`).join(', ');
  return `select ${columns}, rows::text as rows from (
      select ${columns}, row_number() over (order by ${columns}) as rows
      from tallystick.${table}
      where store_id = $1 and ${where} and (${columns}) > (${values})
      order by ${columns} limit $2
    ) as range order by range.rows desc limit 1`;
}
