import type { Uuid } from '../../core/id.js';
import { type Account, nameKey } from '../../core/model.js';
import type { Flight, Statement } from '../engine/db.js';
import {
  ACCOUNTS,
  DRAWDOWNS,
  ENTRIES,
  GRANTS,
  HOLDS,
  NEW_ACCOUNTS,
  TRANSACTIONS,
  VOIDS,
} from '../rows/rows.js';
import { insertOutbox } from '../webhooks/outbox.js';

/**
 * The only statements that write the ledger: one for each kind of change, whatever the size of the
 * batch, in the order in which they are sent. One for transactions and entries together was slower.
 *
 * A key that another process took in between raises a unique violation, which undoes this batch
 * alone, for it runs in a transaction of its own: it is decided again and finds the winner.
 */
const KINDS = {
  newAccounts: (storeId: Uuid, accounts: readonly Account[]) =>
    NEW_ACCOUNTS.insert(
      storeId,
      accounts.map((account) => ({ ...account, nameKey: nameKey(account.name) })),
    ),
  transactions: TRANSACTIONS.insert,
  entries: ENTRIES.insert,
  /** What a plain movement changes of an account: no index covers any of these columns. */
  balances: ACCOUNTS.update('id', ['balance', 'version', 'postedAt']),
  statuses: ACCOUNTS.update('id', ['status', 'updatedAt']),
  /** What movements, grants and holds change of their accounts. */
  funds: ACCOUNTS.update('id', [
    'balance',
    'version',
    'postedAt',
    'held',
    'freeInGrants',
    'openGrants',
    'openHolds',
    'hasGrants',
  ]),
  newGrants: GRANTS.insert,
  grants: GRANTS.update('id', ['remaining', 'held', 'voidedAt', 'announcedAt']),
  newHolds: HOLDS.insert,
  holds: HOLDS.update('id', ['remaining', 'captured', 'status', 'pins', 'expiresAt', 'updatedAt']),
  voids: VOIDS.update('grantId', ['transactionId']),
  drawdowns: DRAWDOWNS.insert,
  events: insertOutbox,
};

type Kind = keyof typeof KINDS;
type RowOf<K extends Kind> = Parameters<(typeof KINDS)[K]>[1][number];

/** What is to be written: the rows of each kind, by what tells them apart, as they are by now. */
export class Writes {
  readonly #rows = new Map<Kind, Map<unknown, object>>();

  of<K extends Kind>(kind: K): Map<unknown, RowOf<K>> {
    let rows = this.#rows.get(kind);
    if (rows === undefined) {
      rows = new Map();
      this.#rows.set(kind, rows);
    }
    return rows as Map<unknown, RowOf<K>>;
  }

  add<K extends Kind>(kind: K, rows: readonly RowOf<K>[]): void {
    const own = this.of(kind);
    for (const row of rows) own.set(own.size, row);
  }

  statements(storeId: Uuid): Flight {
    const flight: Record<string, Statement> = {};
    for (const [kind, write] of Object.entries(KINDS)) {
      const rows = this.#rows.get(kind as Kind);
      if (rows === undefined || rows.size === 0) continue;
      flight[kind] = write(storeId, [...rows.values()] as never[]);
    }
    return flight;
  }
}
