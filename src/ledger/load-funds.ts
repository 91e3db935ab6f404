import { accountsNamed, type Command } from '../core/command.js';
import type { Uuid } from '../core/id.js';
import type { Account, Grant, Hold, Store, Transaction } from '../core/model.js';
import { hasParts, instantOf } from '../core/state.js';
import type { Lane, Result } from '../store/db.js';
import { findGrants, findHolds, type Reach, toGrants, toHold } from '../store/funds.js';

/** What was locked, and what is to be done with it. */
interface Locked {
  readonly commands: readonly Command[];
  /** The transactions that are to be reversed. */
  readonly originals: ReadonlyMap<Uuid, Transaction>;
  readonly accounts: ReadonlyMap<Uuid, Account>;
  readonly now: number;
}

interface Loaded {
  readonly grants: readonly Grant[];
  readonly holds: readonly Hold[];
  /** By account: what remains of open grants that were not read. */
  readonly unread: ReadonlyMap<Uuid, bigint>;
}

const NOTHING: Loaded = { grants: [], holds: [], unread: new Map() };

/** Reads the grants and holds that commands can touch; sends nothing where there are none. */
export async function loadFunds(lane: Lane, store: Store, locked: Locked): Promise<Loaded> {
  const { accounts } = locked;
  const reaches = reachesOf(locked);
  const { holdIds, holdKeys, grantIds, made } = namedBy(locked);
  const named = holdIds.length + holdKeys.length + grantIds.length + made.length;
  if (reaches.length === 0 && named === 0) return NOTHING;
  const withHolds = reaches.filter(({ accountId }) => accounts.get(accountId)!.openHolds > 0);
  const [grants, holds] = (await lane.flight([
    findGrants(store.id, reaches, grantIds, made),
    findHolds(
      store.id,
      withHolds.map(({ accountId }) => accountId),
      holdIds,
      holdKeys,
    ),
  ])) as [Result, Result];
  return { ...toGrants(grants), holds: holds.rows.map(toHold) };
}

/**
 * How far commands can reach into the funds of each account. Only of debits and holds on their own
 * can that be told: anything else, or a hold that is open, may use or free any grant.
 */
function reachesOf({ commands, originals, accounts, now }: Locked): Reach[] {
  const parted = [...accounts.values()].filter(hasParts);
  if (parted.length === 0) return [];
  const taken = new Map<Uuid, bigint>();
  const unbounded = new Set<Uuid>();
  for (const command of commands) {
    if (command.kind === 'debit' || command.kind === 'hold') {
      const { accountId, amount } = command;
      taken.set(accountId, (taken.get(accountId) ?? 0n) + amount);
    } else if (command.kind !== 'credit') {
      for (const id of accountsNamed(command)) unbounded.add(id);
    }
  }
  for (const { entries } of originals.values()) {
    for (const { accountId } of entries) unbounded.add(accountId);
  }
  return parted.map((account) => {
    const { id: accountId, openHolds } = account;
    const bounded = openHolds === 0 && !unbounded.has(accountId);
    return {
      accountId,
      taken: bounded ? (taken.get(accountId) ?? 0n) : Infinity,
      at: instantOf({ now }, account),
    };
  });
}

function namedBy({ commands, originals, accounts }: Locked) {
  const holdIds: Uuid[] = [];
  const holdKeys: string[] = [];
  const grantIds: Uuid[] = [];
  const made: Uuid[] = [];
  for (const command of commands) {
    if (command.kind === 'hold') holdKeys.push(command.key);
    else if (command.kind === 'void') grantIds.push(command.grantId);
    else if (command.kind === 'capture') holdIds.push(command.holdId);
    else if (command.kind === 'release') holdIds.push(command.holdId);
    else if (command.kind === 'extend') holdIds.push(command.holdId);
  }
  for (const { id, entries, drawdowns } of originals.values()) {
    if (!entries.some(({ accountId }) => accounts.get(accountId)?.hasGrants)) continue;
    made.push(id);
    grantIds.push(...drawdowns.map(({ grantId }) => grantId));
  }
  return { holdIds, holdKeys, grantIds, made };
}
