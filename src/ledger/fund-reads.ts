import { availableOf, type Position, positionOf } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import type { Account, Grant, Hold, Store, Void } from '../core/model.js';
import { hasParts } from '../core/state.js';
import type { Db } from '../store/db.js';
import { type Listed, type Page, readAccount } from '../store/read.js';
import {
  listGrants,
  listHolds,
  readFunds,
  readGrant,
  readHold,
  readNow,
  readVoids,
} from '../store/read-funds.js';
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
    const funds = found(await readFunds(this.#db, store.id, id), NO_ACCOUNT);
    return { account: funds.account, position: positionOf(funds, funds.now) };
  }

  async hold(store: Store, id: Uuid): Promise<{ hold: Hold; now: number }> {
    const hold = found(await readHold(this.#db, store.id, id), NO_HOLD);
    return { hold, now: await readNow(this.#db, store.id) };
  }

  async holds(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<Listed<Hold> & { now: number }> {
    await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const hold = await readHold(this.#db, store.id, id);
      return hold?.accountId === accountId;
    });
    const now = await readNow(this.#db, store.id);
    return { now, ...(await listHolds(this.#db, store.id, { accountId, status, now }, page)) };
  }

  async grants(
    store: Store,
    accountId: Uuid,
    status: string | undefined,
    page: Page<Uuid>,
  ): Promise<Listed<Grant> & { now: number; voids: ReadonlyMap<Uuid, Void> }> {
    await this.#account(store, accountId);
    await checkCursors(page, async (id) => {
      const grant = await readGrant(this.#db, store.id, id);
      return grant?.accountId === accountId;
    });
    const now = await readNow(this.#db, store.id);
    const listed = await listGrants(this.#db, store.id, { accountId, status, now }, page);
    const voided = listed.items.filter(({ voidedAt }) => voidedAt !== null);
    const voids = await readVoids(
      this.#db,
      store.id,
      voided.map(({ id }) => id),
    );
    return { now, ...listed, voids };
  }

  async #account(store: Store, id: Uuid): Promise<Account> {
    return found(await readAccount(this.#db, store.id, id), NO_ACCOUNT);
  }
}
