import { type Command, canonicalForm } from '../core/command.js';
import { type Refusal, RefusalError, refuse } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Account, Posting, Store, Transaction } from '../core/model.js';
import type { Engine } from '../store/db.js';
import {
  findSeq,
  type HistoryEntry,
  type Listed,
  listAccounts,
  listByReference,
  listEntries,
  type Page,
  readAccount,
  readBalanceAt,
  readTransaction,
} from '../store/read.js';
import { Batcher } from './batcher.js';
import type { Outcome } from './commit.js';
import { fingerprint } from './fingerprint.js';
import { newId } from './ids.js';

export type { HistoryEntry, Listed, Page } from '../store/read.js';

export interface Movement {
  readonly accountId: Uuid;
  /** A positive integer in the account's unit. */
  readonly amount: bigint;
  readonly reference: string;
  readonly key: string;
}

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
  readonly #batcher: Batcher;

  constructor(engine: Engine) {
    this.engine = engine;
    this.#batcher = new Batcher(engine);
  }

  /** How many commands wait to be written. */
  get waiting(): number {
    return this.#batcher.waiting;
  }

  /** Opens an account; `initialBalance` of zero seeds nothing. */
  open(
    store: Store,
    account: { customerId: string; name: string; unitLabel: string; initialBalance: bigint },
  ): Promise<Outcome> {
    const accountId = newId();
    return this.#submit(store, {
      ...account,
      kind: 'open',
      accountId,
      transactionId: newId(),
      fingerprint: fingerprint(accountId),
    });
  }

  credit(store: Store, movement: Movement): Promise<Outcome> {
    return this.#move(store, 'credit', movement);
  }

  debit(store: Store, movement: Movement): Promise<Outcome> {
    return this.#move(store, 'debit', movement);
  }

  /** Posts a transaction over several accounts; credits are positive, debits negative. */
  post(
    store: Store,
    post: { postings: readonly Posting[]; reference: string; key: string },
  ): Promise<Outcome> {
    const fields = { ...post, kind: 'post' } as const;
    return this.#submit(store, {
      ...fields,
      transactionId: newId(),
      fingerprint: fingerprint(canonicalForm(fields)),
    });
  }

  /** Reverses a whole transaction; where an account is given, it must be one of its accounts. */
  reverse(store: Store, originalId: Uuid, accountId?: Uuid): Promise<Outcome> {
    return this.#submit(store, {
      kind: 'reverse',
      originalId,
      accountId,
      transactionId: newId(),
      fingerprint: fingerprint(originalId),
    });
  }

  setStatus(store: Store, kind: 'freeze' | 'unfreeze' | 'close', accountId: Uuid) {
    return this.#submit(store, { kind, accountId });
  }

  async account(store: Store, id: Uuid): Promise<Account> {
    return found(await readAccount(this.engine.reader, store.id, id), NO_ACCOUNT);
  }

  /** @throws {RefusalError} where a cursor is not an account of this store. */
  async accounts(
    store: Store,
    customerId: string | undefined,
    page: Page<Uuid>,
  ): Promise<Listed<Account>> {
    const { reader } = this.engine;
    await checkCursors(page, async (id) => (await readAccount(reader, store.id, id)) !== undefined);
    return listAccounts(reader, store.id, customerId, page);
  }

  /** The balance that the account had at an instant, in milliseconds since the Unix epoch. */
  async balanceAt(store: Store, id: Uuid, at: number): Promise<bigint> {
    const account = await this.account(store, id);
    if (at >= account.postedAt) return account.balance;
    // The wire's earliest instants are too early for the database to read.
    if (at < account.createdAt) return 0n;
    return readBalanceAt(this.engine.reader, store.id, account, at);
  }

  /** @throws {RefusalError} where a cursor is not an entry of this account. */
  async entries(store: Store, id: Uuid, page: Page<EntryPlace>): Promise<Listed<HistoryEntry>> {
    await this.account(store, id);
    const after = await this.#seq(store, id, page.after, 'starting_after');
    const before = await this.#seq(store, id, page.before, 'ending_before');
    return listEntries(this.engine.reader, store.id, id, { limit: page.limit, after, before });
  }

  async transaction(store: Store, id: Uuid): Promise<Transaction> {
    return found(await readTransaction(this.engine.reader, store.id, id), NO_TRANSACTION);
  }

  /** @throws {RefusalError} where a cursor is not a transaction with this reference. */
  async byReference(
    store: Store,
    reference: string,
    page: Page<Uuid>,
  ): Promise<Listed<Transaction>> {
    const { reader } = this.engine;
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

  #move(store: Store, kind: 'credit' | 'debit', movement: Movement): Promise<Outcome> {
    const fields = { ...movement, kind };
    return this.#submit(store, {
      ...fields,
      transactionId: newId(),
      fingerprint: fingerprint(canonicalForm(fields)),
    });
  }

  #submit(store: Store, command: Command): Promise<Outcome> {
    return this.#batcher.submit(store, command);
  }

  async #seq(store: Store, accountId: Uuid, place: EntryPlace | undefined, param: string) {
    if (place === undefined) return undefined;
    const seq = await findSeq(this.engine.reader, store.id, accountId, place);
    return found(seq, invalidCursor(param));
  }
}

const NO_ACCOUNT = refuse(
  'account_not_found',
  'There is no such account in this store. Check the account id.',
);

const NO_TRANSACTION = refuse(
  'transaction_not_found',
  "There is no such transaction in this store. Check the transaction's id.",
);

export function invalidCursor(param: string): Refusal {
  return refuse(
    'invalid_cursor',
    `${param} is not an item of this list. Pass the id of an item that a page of it returned.`,
    param,
  );
}

async function checkCursors(page: Page<Uuid>, isItem: (id: Uuid) => Promise<boolean>) {
  if (page.after !== undefined && !(await isItem(page.after))) {
    throw new RefusalError(invalidCursor('starting_after'));
  }
  if (page.before !== undefined && !(await isItem(page.before))) {
    throw new RefusalError(invalidCursor('ending_before'));
  }
}

function found<T>(value: T | undefined, refusal: Refusal): T {
  if (value === undefined) throw new RefusalError(refusal);
  return value;
}
