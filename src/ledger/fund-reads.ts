import { holdAt, settled } from '../core/funds/due.js';
import { availableOf, type Position } from '../core/funds/funds.js';
import { positionOf } from '../core/funds/position.js';
import { pendingAfter } from '../core/funds/to-come.js';
import type { Uuid } from '../core/id.js';
import { checkCursors, found, NO_ACCOUNT, NO_HOLD } from '../core/lookup.js';
import type { Account, Grant, Hold, Store, Void } from '../core/model.js';
import { hasParts } from '../core/state.js';
import type { Db } from '../store/engine/db.js';
import { type HistoryEntry, type Listed, type Page, readAccount } from '../store/read/accounts.js';
import {
  type ListedAt,
  listGrants,
  listHolds,
  readGrant,
  readHold,
  readToCome,
  readVoids,
} from '../store/read/funds.js';
import { readBasis, readBasisAt } from '../store/read/position.js';

/**
 * Reads of what an account's balance is made of.
 *
 * @throws {RefusalError} from every method, where what was asked for is not there.
 */
export class FundReads {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /** What the account has now: whether or not anything due has been settled yet. */
  async position(store: Store, id: Uuid): Promise<{ account: Account; position: Position }> {
    const account = await this.#account(store, id);
    if (!hasParts(account)) {
      const { balance } = account;
      const available = availableOf(account, balance, 0n);
      const position = { balance, held: 0n, available, pending: 0n, expiringNext: null };
      return { account, position };
    }
    const basis = found(await readBasis(this.#db, store.id, id), NO_ACCOUNT);
    return { account: basis.account, position: positionOf(basis, basis.now) };
  }

  /**
   * The balance that the account had at an instant, in milliseconds since the Unix epoch; of one
   * to come, what it will be if nothing happens until then.
   */
  async balanceAt(store: Store, id: Uuid, at: number): Promise<bigint> {
    const basis = found(await readBasisAt(this.#db, store.id, id, at), NO_ACCOUNT);
    return positionOf(basis, at).balance;
  }

  async hold(store: Store, id: Uuid): Promise<Hold> {
    const { hold, now } = found(await readHold(this.#db, store.id, id), NO_HOLD);
    return holdAt(hold, now);
  }

  async holds(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<Listed<Hold>> {
    await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const read = await readHold(this.#db, store.id, id);
      return read?.hold.accountId === accountId;
    });
    const { now, ...listed } = await listHolds(this.#db, store.id, { accountId, status }, page);
    return { ...listed, items: listed.items.map((hold) => holdAt(hold, now)) };
  }

  async grants(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<ListedAt<Grant> & { voids: ReadonlyMap<Uuid, Void> }> {
    const account = await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const grant = await readGrant(this.#db, store.id, id);
      return grant?.accountId === accountId;
    });
    const listed = await listGrants(this.#db, store.id, { accountId, status }, page);
    const { items: grants, ended: holds, more, now } = listed;
    // The account is older than the page, and nothing is told of it.
    const items = [...settled({ account, grants, holds }, now).grants];
    const voided = items.filter(({ voidedAt }) => voidedAt !== null);
    const voids = await readVoids(
      this.#db,
      store.id,
      voided.map(({ id }) => id),
    );
    return { items, more, now, voids };
  }

  /**
   * What of the posted balance was still to come right after each entry of an account, which are
   * given newest first. It is asked after them, so what was still to come at one of them is known.
   */
  async pendingAfter(
    store: Store,
    accountId: Uuid,
    entries: readonly HistoryEntry[],
  ): Promise<bigint[]> {
    const lines = entries.toReversed();
    const [oldest] = lines;
    if (oldest === undefined) return [];
    const span = { from: oldest.createdAt, to: entries[0]!.createdAt };
    return pendingAfter(lines, await readToCome(this.#db, store.id, accountId, span)).reverse();
  }

  async #account(store: Store, id: Uuid): Promise<Account> {
    return found(await readAccount(this.#db, store.id, id), NO_ACCOUNT);
  }
}
