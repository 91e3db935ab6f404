import { accountsNamed, type Command, keyOf } from '../core/command.js';
import { decide } from '../core/decide.js';
import type { Refusal } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Account, Store, Transaction } from '../core/model.js';
import { type Decision, nameOwnerKey, type State } from '../core/state.js';
import type { Lane, Result, Statement } from '../store/db.js';
import {
  findKeys,
  findNames,
  readClock,
  readTransactions,
  toInstant,
  toKeys,
  toNames,
} from '../store/find.js';
import { lockAccounts, toAccount } from '../store/lock.js';
import { isLost } from '../store/sqlstate.js';
import {
  insertAccounts,
  insertEntries,
  insertTransactions,
  updateBalances,
  updateStatuses,
} from '../store/write.js';

/** What became of a command. A refusal is a value; nothing on the write path raises one. */
export type Outcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'account'; readonly account: Account }
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly replayed: boolean };

/** The connection went away after COMMIT was sent: it may have been carried out, or not. */
export class UncertainError extends Error {
  constructor(cause: unknown) {
    super('The connection was lost after COMMIT was sent.', { cause });
  }
}

/**
 * The one write path: decides commands of one store in order and commits what they come to, all
 * in one database transaction.
 *
 * @returns one outcome a command, in order.
 * @throws {UncertainError} where the commit's answer was lost; any other error means that nothing
 * was written. A unique violation (23505) means that another process won a race for a key or a
 * name: the batch can be run again and will find it.
 */
export async function commitBatch(
  lane: Lane,
  store: Store,
  commands: readonly Command[],
): Promise<Outcome[]> {
  // What can be reversed never changes, so it is read before any lock is taken.
  const originals = await readOriginals(lane, store, commands);
  const book = new Book(await lockState(lane, store, commands, originals));
  const decisions = commands.map((command) => book.decide(command));
  await write(lane, store, book);
  const found = await readFound(lane, store, book, decisions);
  return decisions.map((decision) => toOutcome(decision, found));
}

async function readOriginals(lane: Lane, store: Store, commands: readonly Command[]) {
  const ids = new Set(
    commands.flatMap((command) => (command.kind === 'reverse' ? [command.originalId] : [])),
  );
  return ids.size === 0 ? new Map() : readTransactions(lane, store.id, [...ids]);
}

/** Locks the accounts, and then reads everything else that can change: one flight. */
async function lockState(
  lane: Lane,
  store: Store,
  commands: readonly Command[],
  originals: ReadonlyMap<Uuid, Transaction>,
): Promise<State> {
  const accountIds = new Set(commands.flatMap(accountsNamed));
  for (const { entries } of originals.values()) {
    for (const { accountId, seq } of entries) if (seq !== null) accountIds.add(accountId);
  }
  const keys = commands.map(keyOf).filter((key) => key !== undefined);
  const opened = commands.filter((command) => command.kind === 'open');
  const statements: Statement[] = [
    // What follows is right at any level; this one sees, after its locks, all that was committed.
    { text: 'begin isolation level read committed' },
    lockAccounts(store.id, [...accountIds]),
    findKeys(store.id, keys),
    readClock(),
    ...(opened.length > 0 ? [findNames(store.id, opened)] : []),
  ];
  const [, locked, holders, clock, names] = (await lane.flight(statements)) as [
    Result,
    Result,
    Result,
    Result,
    Result | undefined,
  ];
  return {
    store,
    now: toInstant(clock),
    accounts: new Map(locked.rows.map((row) => [row.account_id, toAccount(row)])),
    keys: toKeys(holders),
    names: names === undefined ? new Map() : toNames(names),
    originals,
  };
}

/** The locked state as it changes while a batch is decided, and what is to be written of it. */
class Book {
  readonly state: State;
  readonly transactions: Transaction[] = [];
  readonly opened = new Map<Uuid, Account>();
  readonly moved = new Map<Uuid, Account>();
  readonly restated = new Map<Uuid, Account>();
  readonly #accounts: Map<Uuid, Account>;
  readonly #keys: Map<string, { transactionId: Uuid; fingerprint: Uuid }>;
  readonly #names: Map<string, Account>;

  constructor(state: State) {
    this.#accounts = new Map(state.accounts);
    this.#keys = new Map(state.keys);
    this.#names = new Map(state.names);
    this.state = {
      ...state,
      accounts: this.#accounts,
      keys: this.#keys,
      names: this.#names,
    };
  }

  decide(command: Command): Decision {
    const decision = decide(this.state, command);
    switch (decision.kind) {
      case 'posted':
        this.#post(decision.transaction);
        for (const account of decision.accounts) {
          this.#accounts.set(account.id, account);
          this.moved.set(account.id, account);
        }
        break;
      case 'opened':
        this.#names.set(
          nameOwnerKey(decision.account.customerId, decision.account.name),
          decision.account,
        );
        this.opened.set(decision.account.id, decision.account);
        if (decision.seed !== null) this.#post(decision.seed);
        break;
      case 'restated':
        this.#accounts.set(decision.account.id, decision.account);
        this.restated.set(decision.account.id, decision.account);
        break;
      default:
    }
    return decision;
  }

  #post(transaction: Transaction): void {
    this.transactions.push(transaction);
    this.#keys.set(transaction.key, {
      transactionId: transaction.id,
      fingerprint: transaction.fingerprint,
    });
  }
}

async function write(lane: Lane, store: Store, book: Book): Promise<void> {
  const statements: Statement[] = [];
  if (book.opened.size > 0) statements.push(insertAccounts(store.id, [...book.opened.values()]));
  if (book.transactions.length > 0) {
    statements.push(insertTransactions(store.id, book.transactions));
    statements.push(insertEntries(store.id, book.transactions));
  }
  if (book.moved.size > 0) statements.push(updateBalances(store.id, [...book.moved.values()]));
  if (book.restated.size > 0)
    statements.push(updateStatuses(store.id, [...book.restated.values()]));
  statements.push({ text: 'commit' });
  try {
    await lane.flight(statements);
  } catch (error) {
    throw isLost(error) ? new UncertainError(error) : error;
  }
}

/** Reads the transactions that keys led to and that are not of this batch. */
async function readFound(
  lane: Lane,
  store: Store,
  book: Book,
  decisions: readonly Decision[],
): Promise<Map<Uuid, Transaction>> {
  const own = new Map(book.transactions.map((transaction) => [transaction.id, transaction]));
  const ids = decisions.flatMap((decision) =>
    decision.kind === 'found' && !own.has(decision.transactionId) ? [decision.transactionId] : [],
  );
  if (ids.length === 0) return own;
  const read = await readTransactions(lane, store.id, [...new Set(ids)]);
  return new Map([...own, ...read]);
}

function toOutcome(decision: Decision, found: ReadonlyMap<Uuid, Transaction>): Outcome {
  switch (decision.kind) {
    case 'refused':
      return decision;
    case 'found': {
      const transaction = found.get(decision.transactionId)!;
      return { kind: 'transaction', transaction, replayed: decision.replayed };
    }
    case 'posted':
      return { kind: 'transaction', transaction: decision.transaction, replayed: false };
    default:
      return { kind: 'account', account: decision.account };
  }
}
