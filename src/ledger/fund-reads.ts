import { availableOf, type Position, positionOf } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Account, Grant, Hold, Store, Void } from '../core/model.js';
import { hasParts } from '../core/state.js';
import { pendingAfter } from '../core/to-come.js';
import type { Db } from '../store/db.js';
import { type HistoryEntry, type Page, readAccount } from '../store/read.js';
import {
  type ListedAt,
  listGrants,
  listHolds,
  readGrant,
  readHold,
  readToCome,
  readVoids,
} from '../store/read-funds.js';
import { readBasis, readBasisAt } from '../store/read-position.js';
import { checkCursors, found, NO_ACCOUNT, NO_HOLD } from './lookup.js';

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

  async hold(store: Store, id: Uuid): Promise<{ hold: Hold; now: number }> {
    return found(await readHold(this.#db, store.id, id), NO_HOLD);
  }

  async holds(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<ListedAt<Hold>> {
    await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const read = await readHold(this.#db, store.id, id);
      return read?.hold.accountId === accountId;
    });
    return listHolds(this.#db, store.id, { accountId, status }, page);
  }

  async grants(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<ListedAt<Grant> & { voids: ReadonlyMap<Uuid, Void> }> {
    await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const grant = await readGrant(this.#db, store.id, id);
      return grant?.accountId === accountId;
    });
    const listed = await listGrants(this.#db, store.id, { accountId, status }, page);
    const voided = listed.items.filter(({ voidedAt }) => voidedAt !== null);
    const voids = await readVoids(
      this.#db,
      store.id,
      voided.map(({ id }) => id),
    );
    return { ...listed, voids };
  }

  /**
   * What of the posted balance was still to come right after each entry of an account, which are
   * given newest first. An account that never had a grant pays nothing for it: none is looked for.
   */
  async pendingAfter(
    store: Store,
    accountId: Uuid,
    entries: readonly HistoryEntry[],
  ): Promise<bigint[]> {
    const lines = entries.toReversed();
    const [oldest] = lines;
    // It is asked after the entries were read, so a grant that they tell of is known by now.
    if (oldest === undefined || !(await this.#account(store, accountId)).hasGrants) {
      return lines.map(() => 0n);
    }
    const span = { from: oldest.createdAt, to: entries[0]!.createdAt };
    return pendingAfter(lines, await readToCome(this.#db, store.id, accountId, span)).reverse();
  }

  async #account(store: Store, id: Uuid): Promise<Account> {
    return found(await readAccount(this.#db, store.id, id), NO_ACCOUNT);
  }
}
