import type { Subscription } from '../../core/events/derive.js';
import type { Uuid } from '../../core/id.js';
import type { Account, Drawdown, Entry, Transaction } from '../../core/model.js';
import { nameKeys } from '../../core/model.js';
import { type KeyHolder, nameOwnerKey } from '../../core/state.js';
import { type Db, plainArray, type Result, type Statement, textArray } from '../engine/db.js';
import { epochOf } from '../rows/columns.js';
import { ACCOUNTS, ENTRIES, TRANSACTIONS } from '../rows/rows.js';

/**
 * What the write path looks up besides accounts. Every look-up is a lateral one for the reason
 * given at `lockAccounts`: with `idempotency_key = any($2)` batches were four times slower. A limit
 * or an offset keeps it one: without, the planner may make a join of it that reads whole stores.
 */

/** A store's instant, from its row. */
const INSTANT = "coalesce(clock, date_trunc('milliseconds', clock_timestamp()))";
const NOW = `${epochOf(INSTANT)} as now`;

/**
 * The store's instant, of which `$1` is the id, for a statement that needs it beside what it
 * reads: asked for apart, it would be the instant of another state. It is looked at once, however
 * often it is named.
 */
export const MOMENT = `moment as materialized (
    select ${INSTANT} as instant from tallystick.stores where store_id = $1)`;

/**
 * What a batch reads once the locks of the statements before are held, in one statement: the
 * instant, who has its keys already, what the store's webhook endpoints want to be told (a disabled
 * one is told later), and of which version the schema is. The last two are read at every batch,
 * because an answer from memory would lose the events between another server's change of an
 * endpoint and its end, and would write to a newer schema what that does not expect.
 */
export function observe(storeId: Uuid, keys: readonly string[]): Statement {
  return {
    text: `select ${NOW}, schema,
        (select string_agg(k.place || ' ' || t.transaction_id || ' ' || t.fingerprint, ',')
          from unnest($2::text[]) with ordinality as k (key, place)
          cross join lateral (
            select transaction_id, fingerprint from tallystick.transactions
            where store_id = $1 and idempotency_key = k.key limit 1
          ) as t) as holders,
        (select string_agg(endpoint_id || ' ' || array_to_string(events, ' '), ',')
          from tallystick.webhook_endpoints where store_id = $1) as wanted
      from tallystick.stores where store_id = $1`,
    values: [storeId, textArray(keys)],
  };
}

/** @param keys as they were given to `observe`, whose places the answer names. */
export function toKeys(result: Result, keys: readonly string[]): Map<string, KeyHolder> {
  const holders = new Map<string, KeyHolder>();
  for (const line of (result.rows[0].holders as string | null)?.split(',') ?? []) {
    const [place, transactionId, fingerprint] = line.split(' ') as [string, Uuid, Uuid];
    holders.set(keys[Number(place) - 1]!, { transactionId, fingerprint });
  }
  return holders;
}

export function toSubscriptions(result: Result): Subscription[] {
  const wanted = result.rows[0].wanted as string | null;
  if (wanted === null) return [];
  return wanted.split(',').map((line) => {
    const [endpointId, ...events] = line.trimEnd().split(' ');
    return { endpointId: endpointId!, events };
  });
}

/** The newest migration that the database had when the batch looked. */
export function toSchema(result: Result): number {
  return result.rows[0].schema;
}

export function toInstant(result: Result): number {
  return Number(result.rows[0].now);
}

/** Finds the accounts that hold the names which the customers want to open. */
export function findNames(
  storeId: Uuid,
  wanted: readonly { customerId: string; name: string }[],
): Statement {
  const pairs = wanted.flatMap(({ customerId, name }) =>
    nameKeys(name).map((key) => [customerId, key] as const),
  );
  return {
    text: `select a.* from unnest($2::text[], $3::text[]) as wanted (customer_id, name_key)
      cross join lateral (
        ${ACCOUNTS.select} where store_id = $1 and customer_id = wanted.customer_id
          and name_key = wanted.name_key limit 1
      ) as a`,
    values: [
      storeId,
      textArray(pairs.map(([customerId]) => customerId)),
      textArray(pairs.map(([, key]) => key)),
    ],
  };
}

export function toNames(result: Result): Map<string, Account> {
  const accounts = result.rows.map((row) => ACCOUNTS.read(row));
  return new Map(
    accounts.map((account) => [nameOwnerKey(account.customerId, account.name), account]),
  );
}

/** Reads whole transactions, with all their lines in order; what is not found is left out. */
export async function readTransactions(
  db: Db,
  storeId: Uuid,
  ids: readonly Uuid[],
): Promise<Map<Uuid, Transaction>> {
  const result = await db.query(
    `select t.*, e.line, e.account_id, e.amount, e.seq, e.balance_after, e.draws
      from unnest($2::uuid[]) as wanted (id)
      cross join lateral (
        ${TRANSACTIONS.select} where store_id = $1 and transaction_id = wanted.id limit 1
      ) as t
      cross join lateral (
        select ${ENTRIES.list('l')}, (
          select string_agg(d.grant_id || ' ' || d.amount, ',' order by d.grant_id)
          from tallystick.drawdowns d where d.store_id = $1
            and d.transaction_id = wanted.id and d.line = l.line
        ) as draws
        from tallystick.entries as l where store_id = $1 and transaction_id = wanted.id
        offset 0
      ) as e
      order by t.transaction_id, e.line`,
    [storeId, plainArray(ids)],
  );
  return toTransactions(result.rows);
}

function toTransactions(rows: Result['rows']): Map<Uuid, Transaction> {
  const found = new Map<Uuid, Transaction & { entries: Entry[]; drawdowns: Drawdown[] }>();
  for (const row of rows) {
    let transaction = found.get(row.transaction_id);
    if (transaction === undefined) {
      transaction = { ...TRANSACTIONS.read(row), entries: [], drawdowns: [] };
      found.set(transaction.id, transaction);
    }
    const { line, accountId, amount, seq, balanceAfter } = ENTRIES.read(row);
    transaction.entries.push({ line, accountId, amount, seq, balanceAfter });
    for (const draw of (row.draws as string | null)?.split(',') ?? []) {
      const [grantId, drawn] = draw.split(' ') as [Uuid, string];
      transaction.drawdowns.push({ line, grantId, amount: BigInt(drawn) });
    }
  }
  return found;
}
