import type { Command } from '../core/command.js';
import { RefusalError, refuse } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import { checkCursors, found, invalidCursor, NO_ACCOUNT, NO_TRANSACTION } from '../core/lookup.js';
import { type Account, CLOCK_MAX, type Store, type Transaction } from '../core/model.js';
import type { Db, Engine } from '../store/engine/db.js';
import { probeWrite } from '../store/engine/probe.js';
import {
  type AccountFilter,
  type EntryFilter,
  findSeq,
  type HistoryEntry,
  type Listed,
  listAccounts,
  listByReference,
  listEntries,
  type Page,
  readAccount,
  readTransaction,
} from '../store/read/accounts.js';
import { advanceClock, readClockOf, setClock } from '../store/read/clock.js';
import { AddressGuard } from '../webhooks/delivery/address.js';
import { SecretKeys } from '../webhooks/secrets.js';
import { Webhooks } from '../webhooks/webhooks.js';
import { FundReads } from './fund-reads.js';
import { ReadShares } from './read-shares.js';
import { ANNOUNCE_AHEAD_MS_DEFAULT } from './sweep.js';
import { Batcher } from './write/batcher.js';
import type { Outcome } from './write/outcome.js';
import type { WriteHealthLog } from './write/write-health.js';

export type {
  AccountFilter,
  EntryFilter,
  HistoryEntry,
  Listed,
  NotedFilter,
  Page,
} from '../store/read/accounts.js';

export interface EntryPlace {
  readonly transactionId: Uuid;
  readonly line: number;
}

/**
 * The ledger over one database. Every method names the store it works in and sees nothing of
 * another. Writes resolve to an outcome, which may be a refusal.
 *
 * @throws {RefusalError} from reads, where what was asked for is not there.
 */
export class Ledger {
  readonly engine: Engine;
  /** For single statements of requests, in which each store has its share of the readers. */
  readonly reader: Db;
  readonly webhooks: Webhooks;
  readonly funds: FundReads;
  readonly announceAheadMs: number;
  readonly #batcher: Batcher;
  #commands = 0;
  #onEvents: () => void = () => {};

  /**
   * @param guard says which addresses a webhook may have.
   * @param announceAheadMs how long before its expiry a grant is announced.
   * @param secretKeys seal and open webhooks' secrets; without any these are plain text.
   */
  constructor(
    engine: Engine,
    guard: AddressGuard = new AddressGuard(),
    announceAheadMs: number = ANNOUNCE_AHEAD_MS_DEFAULT,
    secretKeys: SecretKeys = new SecretKeys(),
  ) {
    this.engine = engine;
    this.reader = new ReadShares(engine.reader);
    this.announceAheadMs = announceAheadMs;
    this.funds = new FundReads(this.reader);
    const { reader } = this;
    this.webhooks = new Webhooks({ ...engine, reader }, guard, secretKeys, () => this.#onEvents());
    this.#batcher = new Batcher(engine, () => this.#onEvents());
  }

  /** How many commands it has been given so far. */
  get commands(): number {
    return this.#commands;
  }

  /** Sets what is called whenever there are new events for webhooks. */
  onEvents(listener: () => void): void {
    this.#onEvents = listener;
  }

  /** Sets who is told when writes begin to fail, and when they work again. */
  reportWrites(log: WriteHealthLog): void {
    this.#batcher.health.report(log);
  }

  /** Tries whether the database can be written to. @returns why not; undefined where it can. */
  async writeFault(): Promise<string | undefined> {
    const fault = this.#batcher.health.fault;
    if (fault !== undefined) return fault;
    try {
      await this.engine.onLane(probeWrite);
      return undefined;
    } catch {
      return 'the database cannot be written to';
    }
  }

  /** How many commands wait to be written. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  /** How many callers wait for what they want to be written, in a batch or for one. */
  get unanswered(): number {
    return this.#batcher.unanswered;
  }

  /** Carries out one command. */
  async execute(store: Store, command: Command): Promise<Outcome> {
    this.#commands++;
    const [outcome] = await this.#batcher.submit(store, [command]);
    return outcome!;
  }

  /**
   * Carries out commands in their order; where atomic, all of them or none.
   *
   * @returns an outcome for each; of an atomic refusal only those up to the culprit, the last.
   */
  executeAll(
    store: Store,
    commands: readonly Command[],
    atomic: boolean,
  ): Promise<readonly Outcome[]> {
    this.#commands += commands.length;
    return this.#batcher.submit(store, commands, atomic);
  }

  async account(store: Store, id: Uuid): Promise<Account> {
    return found(await readAccount(this.reader, store.id, id), NO_ACCOUNT);
  }

  /** @throws {RefusalError} where a cursor is not an account of this store. */
  async accounts(store: Store, filter: AccountFilter, page: Page<Uuid>): Promise<Listed<Account>> {
    const { reader } = this;
    await checkCursors(page, async (id) => (await readAccount(reader, store.id, id)) !== undefined);
    return listAccounts(reader, store.id, filter, page);
  }

  /** The balance that the account had at an instant, in milliseconds since the Unix epoch. */
  balanceAt(store: Store, id: Uuid, at: number): Promise<bigint> {
    return this.funds.balanceAt(store, id, at);
  }

  /** The store's time, and whether it is real time that runs. */
  clock(store: Store): Promise<{ now: number; real: boolean }> {
    return readClockOf(this.reader, store.id);
  }

  /** Sets a test store's time; null returns it to real time. */
  setClock(store: Store, instant: number | null): Promise<void> {
    return setClock(this.reader, store.id, instant);
  }

  /** @throws {RefusalError} where the clock would pass its last instant. */
  async advanceClock(store: Store, seconds: number): Promise<void> {
    const moved = await advanceClock(this.reader, store.id, seconds, CLOCK_MAX);
    if (!moved) throw new RefusalError(PAST_THE_LAST_YEAR);
  }

  /** @throws {RefusalError} where a cursor is not an entry of this account. */
  async entries(
    store: Store,
    id: Uuid,
    page: Page<EntryPlace>,
    filter: EntryFilter = {},
  ): Promise<Listed<HistoryEntry>> {
    await this.account(store, id);
    const after = await this.#seq(store, id, page.after, 'after');
    const before = await this.#seq(store, id, page.before, 'before');
    const window = { limit: page.limit, after, before };
    return listEntries(this.reader, store.id, id, filter, window);
  }

  async transaction(store: Store, id: Uuid): Promise<Transaction> {
    return found(await readTransaction(this.reader, store.id, id), NO_TRANSACTION);
  }

  /** @throws {RefusalError} where a cursor is not a transaction with this reference. */
  async byReference(
    store: Store,
    reference: string,
    page: Page<Uuid>,
  ): Promise<Listed<Transaction>> {
    const { reader } = this;
    await checkCursors(page, async (id) => {
      const transaction = await readTransaction(reader, store.id, id);
      return transaction?.reference === reference;
    });
    return listByReference(reader, store.id, reference, page);
  }

  /** Waits for what is in flight, then closes the database. */
  async close(): Promise<void> {
    await this.#batcher.drained();
    await this.engine.close();
  }

  async #seq(
    store: Store,
    accountId: Uuid,
    place: EntryPlace | undefined,
    cursor: 'after' | 'before',
  ) {
    if (place === undefined) return undefined;
    const seq = await findSeq(this.reader, store.id, accountId, place);
    return found(seq, invalidCursor(cursor));
  }
}

const PAST_THE_LAST_YEAR = refuse(
  'validation_error',
  'So much would move the clock past the year 9998. Set it to an earlier time first.',
  'advance',
);
