import { accountsNamed, type Command, keyOf } from '../../core/command.js';
import type { Uuid } from '../../core/id.js';
import type { Account, Store, Transaction } from '../../core/model.js';
import type { Lane, Result } from '../../store/engine/db.js';
import { newId } from '../../store/ids.js';
import { ACCOUNTS } from '../../store/rows/rows.js';
import { checkSchema } from '../../store/schema/migrate.js';
import {
  findNames,
  observe,
  readTransactions,
  toInstant,
  toKeys,
  toNames,
  toSchema,
} from '../../store/write/find.js';
import { awaitAccounts, findAccounts, lockAccounts } from '../../store/write/lock.js';
import {
  findOwners,
  groupByAccount,
  groupGrants,
  type Owned,
  toOwners,
} from '../../store/write/owners.js';
import type { MutableState } from './batch.js';
import { loadFunds } from './load-funds.js';

/** Commands whose accounts are known, and the transactions that they want to reverse. */
export interface Resolved {
  readonly commands: readonly Command[];
  readonly originals: ReadonlyMap<Uuid, Transaction>;
  /** Whose the holds and grants are that commands name, and of how much. */
  readonly owners: ReadonlyMap<Uuid, Owned>;
}

/**
 * Looks up whose holds and grants are meant, and what is to be reversed. None of it ever
 * changes, so no lock is needed, and a batch without such commands sends nothing.
 */
export async function resolve(
  lane: Lane,
  store: Store,
  commands: readonly Command[],
): Promise<Resolved> {
  const originalIds = new Set<Uuid>();
  const holdIds = new Set<Uuid>();
  const grantIds = new Set<Uuid>();
  for (const command of commands) {
    if (command.kind === 'reverse') originalIds.add(command.originalId);
    else if (command.kind === 'void') grantIds.add(command.grantId);
    else if (isOfHold(command)) holdIds.add(command.holdId);
  }
  const originals =
    originalIds.size === 0
      ? new Map<Uuid, Transaction>()
      : await readTransactions(lane, store.id, [...originalIds]);
  if (holdIds.size === 0 && grantIds.size === 0) {
    return { commands, originals, owners: new Map() };
  }
  const { text, values } = findOwners(store.id, [...holdIds], [...grantIds]);
  const owners = toOwners(await lane.query(text, values));
  return { commands: commands.map((command) => owned(command, owners)), originals, owners };
}

function isOfHold(command: Command) {
  return command.kind === 'capture' || command.kind === 'release' || command.kind === 'extend';
}

function owned(command: Command, owners: ReadonlyMap<Uuid, Owned>): Command {
  switch (command.kind) {
    case 'capture':
    case 'release':
    case 'extend':
      return { ...command, accountId: owners.get(command.holdId)?.accountId };
    case 'void':
      return { ...command, accountId: owners.get(command.grantId)?.accountId };
    default:
      return command;
  }
}

/** What a batch holds once its transaction has begun. */
export interface Locked {
  readonly accounts: Map<Uuid, Account>;
  /** Accounts that the commands need and that another has locked. */
  readonly busy: ReadonlySet<Uuid>;
  readonly observed: Result;
  /** Undefined where no account is to be opened. */
  readonly names: Result | undefined;
}

/**
 * Begins the transaction, locks the accounts that are free, and then reads what else can change,
 * in one flight.
 *
 * @param waitFor accounts that were found locked before, which it waits for first.
 * @throws {NewerSchemaError} where the database is of a newer program.
 */
export async function lockBatch(
  lane: Lane,
  store: Store,
  { commands, originals }: Resolved,
  waitFor: readonly Uuid[],
): Promise<Locked> {
  const needed = new Set(commands.flatMap((command) => accountsOf(command, originals)));
  const opened = commands.filter((command) => command.kind === 'open');
  const { locked, observed, names } = await lane.begin({
    awaited: waitFor.length === 0 ? undefined : awaitAccounts(store.id, waitFor),
    locked: lockAccounts(store.id, [...needed]),
    observed: observe(store.id, keysOf(commands)),
    names: opened.length === 0 ? undefined : findNames(store.id, opened),
  });
  checkSchema(toSchema(observed));
  const accounts = new Map(locked.rows.map((row) => [row.account_id as Uuid, ACCOUNTS.read(row)]));
  const missing = [...needed].filter((id) => !accounts.has(id));
  const busy = missing.length === 0 ? NONE : await existing(lane, store, missing);
  return { accounts, busy, observed, names };
}

const NONE: ReadonlySet<Uuid> = new Set();

async function existing(lane: Lane, store: Store, ids: readonly Uuid[]): Promise<Set<Uuid>> {
  const { text, values } = findAccounts(store.id, ids);
  const { rows } = await lane.query(text, values);
  return new Set(rows.map(({ account_id }) => account_id));
}

/** The accounts that a command needs: those that it names, and those of what it reverses. */
export function accountsOf(
  command: Command,
  originals: ReadonlyMap<Uuid, Transaction>,
): readonly Uuid[] {
  const named = accountsNamed(command);
  const original = command.kind === 'reverse' ? originals.get(command.originalId) : undefined;
  if (original === undefined) return named;
  const own = original.entries.filter(({ seq }) => seq !== null);
  return [...named, ...own.map(({ accountId }) => accountId)];
}

function keysOf(commands: readonly Command[]): string[] {
  return commands.map(keyOf).filter((key) => key !== undefined);
}

/** What commands are decided on. */
export interface Loaded {
  readonly state: MutableState;
  /**
   * Whether more is due than one database transaction books. Then the state is that of an earlier
   * instant: what was due by then is to be committed, before the rest and the commands.
   */
  readonly settlesOnly: boolean;
}

/** Reads of the locked accounts what else commands can touch, and puts the state together. */
export async function loadState(
  lane: Lane,
  store: Store,
  resolved: Resolved,
  { accounts, observed, names }: Locked,
): Promise<Loaded> {
  const { commands, originals } = resolved;
  const now = toInstant(observed);
  const funds = await loadFunds(lane, store, { ...resolved, accounts, now });
  const { settleTo } = funds;
  const state = {
    store,
    now: settleTo ?? now,
    newId,
    accounts,
    grants: groupGrants(funds.grants),
    pending: funds.pending,
    holds: groupByAccount(funds.holds),
    keys: toKeys(observed, keysOf(commands)),
    holdKeys: new Map(funds.holds.map((hold) => [hold.key, hold])),
    names: names === undefined ? new Map() : toNames(names),
    originals,
  };
  return { state, settlesOnly: settleTo !== undefined };
}
