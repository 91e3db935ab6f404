import { accountsNamed, type Command, keyOf } from '../core/command.js';
import type { Subscription } from '../core/events.js';
import type { Uuid } from '../core/id.js';
import type { Store, Transaction } from '../core/model.js';
import type { Lane, Result, Statement } from '../store/db.js';
import {
  findNames,
  observe,
  readTransactions,
  toInstant,
  toKeys,
  toNames,
  toSubscriptions,
} from '../store/find.js';
import { findOwners, groupByAccount, groupGrants, type Owned, toOwners } from '../store/funds.js';
import { lockAccounts, toAccount } from '../store/lock.js';
import type { MutableState } from './batch.js';
import { newId } from './ids.js';
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

export interface Locked {
  readonly state: MutableState;
  readonly subscriptions: readonly Subscription[];
  /**
   * Whether more is due than one database transaction books. Then the state is that of an earlier
   * instant: what was due by then is to be committed, before the rest and the commands.
   */
  readonly settlesOnly: boolean;
}

/**
 * Begins the transaction, locks the accounts, and then reads everything else that can change: one
 * flight, and a second one where an account has grants or holds.
 */
export async function lockState(lane: Lane, store: Store, resolved: Resolved): Promise<Locked> {
  const { commands, originals } = resolved;
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
    observe(store.id, keys),
    ...(opened.length > 0 ? [findNames(store.id, opened)] : []),
  ];
  const [, locked, observed, names] = (await lane.flight(statements)) as [
    Result,
    Result,
    Result,
    Result | undefined,
  ];
  const accounts = new Map(locked.rows.map((row) => [row.account_id as Uuid, toAccount(row)]));
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
    keys: toKeys(observed, keys),
    holdKeys: new Map(funds.holds.map((hold) => [hold.key, hold])),
    names: names === undefined ? new Map() : toNames(names),
    originals,
  };
  return { state, subscriptions: toSubscriptions(observed), settlesOnly: settleTo !== undefined };
}
