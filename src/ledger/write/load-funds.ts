import type { Command } from '../../core/command.js';
import { type Beginning, endOf, freeOf } from '../../core/funds/funds.js';
import type { Uuid } from '../../core/id.js';
import type { Account, Grant, Hold, Store, Transaction } from '../../core/model.js';
import { hasParts, instantOf } from '../../core/state.js';
import type { Lane, Result } from '../../store/engine/db.js';
import { HOLDS } from '../../store/rows/rows.js';
import type { Owned } from '../../store/write/owners.js';
import {
  type Bounds,
  endedHolds,
  type FoundGrants,
  findGrants,
  findHolds,
  findPending,
  type Named,
  type Reach,
  toGrants,
  toPending,
} from '../../store/write/reach.js';

/** What was locked, and what is to be done with it. */
interface Locked {
  readonly commands: readonly Command[];
  /** The transactions that are to be reversed. */
  readonly originals: ReadonlyMap<Uuid, Transaction>;
  /** Whose the holds and grants are that commands name, and of how much. */
  readonly owners: ReadonlyMap<Uuid, Owned>;
  readonly accounts: ReadonlyMap<Uuid, Account>;
  readonly now: number;
}

interface Loaded {
  readonly grants: readonly Grant[];
  readonly holds: readonly Hold[];
  readonly pending: ReadonlyMap<Uuid, readonly Beginning[]>;
  /** Where more is due than one database transaction books: the instant that it can come to. */
  readonly settleTo: number | undefined;
}

/** When a thing ended, and in which list of what has ended it was read. */
interface Ended {
  readonly list: string;
  readonly expiresAt: number;
}

const NO_GRANTS: FoundGrants = { grants: new Map(), walked: [], ended: [] };
const NOTHING: Loaded = { grants: [], holds: [], pending: new Map(), settleTo: undefined };

/**
 * How many things that fell due on one account one database transaction books. What fell due at
 * one instant is never torn, since it is one transaction of the account's history.
 */
export const SETTLED_MAX = 1_000;
/** How far along the order of use an account's grants are read at first, and how much further. */
const WALKED_FIRST = 8;
const WALKED_FACTOR = 16;

/**
 * Reads the grants and holds that commands can touch. It does not ask for grants where no account
 * has an open one, for what a hold keeps of is open, and sends nothing where there is nothing.
 */
export async function loadFunds(lane: Lane, store: Store, locked: Locked): Promise<Loaded> {
  const reaches = reachesOf(locked);
  const named = namedBy(locked);
  const withHolds = reaches.filter(({ accountId }) => openOf(locked, accountId).openHolds > 0);
  const withGrants = reaches.filter(({ accountId }) => openOf(locked, accountId).openGrants > 0);
  const asksGrants = withGrants.length + named.grantIds.length + named.transactionIds.length > 0;
  const asksHolds = withHolds.length + named.holdIds.length + named.holdKeys.length > 0;
  if (!asksGrants && !asksHolds) return NOTHING;
  const due = jumpsIn(reaches) ? Number.MAX_SAFE_INTEGER : SETTLED_MAX;
  for (let walked = WALKED_FIRST; ; walked *= WALKED_FACTOR) {
    const bounds: Bounds = { walked, due };
    const { holds, grants, pending } = await lane.flight({
      holds: findHolds(store.id, withHolds, named, bounds),
      grants: asksGrants ? findGrants(store.id, withGrants, named, bounds) : undefined,
      pending: asksGrants ? findPending(store.id, afterNewest(locked, withGrants)) : undefined,
    });
    const found = grants === undefined ? NO_GRANTS : toGrants(grants);
    if (isCutShort(found, reaches, walked)) continue;
    return assemble(locked, reaches, found, holds, pending);
  }
}

/** Whether time can go on within the batch: then all that falls due until there is read at once. */
function jumpsIn(reaches: readonly Reach[]): boolean {
  return reaches.some(({ at, until }) => until > at);
}

function openOf({ accounts }: Locked, accountId: Uuid): Account {
  return accounts.get(accountId)!;
}

function afterNewest(locked: Locked, reaches: readonly Reach[]) {
  return reaches.map(({ accountId, until }) => {
    return { accountId, after: openOf(locked, accountId).postedAt, until };
  });
}

/** Whether the walk along an account's grants ended at its limit, and not where it was covered. */
function isCutShort({ walked }: FoundGrants, reaches: readonly Reach[], limit: number): boolean {
  if (walked.length < limit) return false;
  const counts = new Map<Uuid, { walked: number; covered: bigint }>();
  const reachOf = new Map(reaches.map((reach) => [reach.accountId, reach]));
  for (const grant of walked) {
    const { at, until } = reachOf.get(grant.accountId)!;
    const before = counts.get(grant.accountId) ?? { walked: 0, covered: 0n };
    const usable = grant.effectiveAt <= at && endOf(grant) > until;
    const covered = before.covered + (usable ? freeOf(grant) : 0n);
    counts.set(grant.accountId, { walked: before.walked + 1, covered });
  }
  return [...counts].some(([accountId, count]) => {
    return count.walked === limit && count.covered < reachOf.get(accountId)!.taken;
  });
}

function assemble(
  { accounts }: Locked,
  reaches: readonly Reach[],
  { grants, ended }: FoundGrants,
  holds: Result,
  begins: Result | undefined,
): Loaded {
  const loaded = [...grants.values()];
  const pending = begins === undefined ? new Map<Uuid, Beginning[]>() : toPending(begins);
  // What is read is counted as it changes, and must not be counted twice.
  const untilOf = new Map(reaches.map(({ accountId, until }) => [accountId, until]));
  for (const grant of loaded) {
    const until = untilOf.get(grant.accountId);
    const free = freeOf(grant);
    const own = pending.get(grant.accountId);
    if (until === undefined || own === undefined || free === 0n) continue;
    if (grant.effectiveAt <= accounts.get(grant.accountId)!.postedAt) continue;
    own.push({ at: grant.effectiveAt > until ? Infinity : grant.effectiveAt, amount: -free });
  }
  const due = [
    ...ended.map(({ accountId, expiresAt }) => ({ list: accountId, expiresAt: expiresAt! })),
    ...endedHolds(holds).map(({ accountId, expiresAt }) => ({
      list: `holds ${accountId}`,
      expiresAt,
    })),
  ];
  const settleTo = jumpsIn(reaches) ? undefined : settleToOf(due);
  return { grants: loaded, holds: holds.rows.map((row) => HOLDS.read(row)), pending, settleTo };
}

/** The first instant up to which all that is due of some account was read, but not all after. */
function settleToOf(ended: readonly Ended[]): number | undefined {
  if (ended.length < SETTLED_MAX) return undefined;
  const lists = new Map<string, { count: number; last: number }>();
  for (const { list, expiresAt } of ended) {
    const { count, last } = lists.get(list) ?? { count: 0, last: -Infinity };
    lists.set(list, { count: count + 1, last: Math.max(last, expiresAt) });
  }
  const full = [...lists.values()].filter(({ count }) => count >= SETTLED_MAX);
  return full.length === 0 ? undefined : Math.min(...full.map(({ last }) => last));
}

/**
 * How far commands can reach into the funds of each account. What they take cannot be more than
 * what they name; a capture and a void name a hold and a grant, whose whole amount it can be.
 */
function reachesOf(locked: Locked): Reach[] {
  const { commands, originals, accounts, now } = locked;
  const parted = [...accounts.values()].filter(hasParts);
  if (parted.length === 0) return [];
  const taken = takenBy(locked);
  const announced = new Map<Uuid, number>();
  for (const command of commands) {
    if (command.kind !== 'settle') continue;
    const { accountId, aheadMs } = command;
    announced.set(accountId, Math.max(aheadMs, announced.get(accountId) ?? 0));
  }
  // Accounts that move together live at one instant, that of the one whose time is furthest.
  const latest = Math.max(...[...accounts.values()].map((account) => instantOf({ now }, account)));
  const together = originals.size > 0 || commands.some(({ kind }) => kind === 'post');
  return parted.map((account) => {
    const { id: accountId } = account;
    const at = instantOf({ now }, account);
    const ahead = announced.get(accountId);
    return {
      accountId,
      taken: taken.get(accountId) ?? 0n,
      at,
      until: together ? latest : at,
      announceUntil: ahead === undefined ? null : at + ahead,
    };
  });
}

function takenBy({ commands, originals, owners, accounts }: Locked): Map<Uuid, bigint> {
  const most = new Map([...accounts].map(([id, { balance }]) => [id, balance]));
  for (const [accountId, amount] of broughtBy(commands, originals)) {
    most.set(accountId, (most.get(accountId) ?? 0n) + amount);
  }
  const taken = new Map<Uuid, bigint>();
  const take = (accountId: Uuid | undefined, amount: bigint) => {
    // What is more than all that can be there is refused, however far one looks.
    if (accountId === undefined || amount <= 0n || amount > (most.get(accountId) ?? 0n)) return;
    taken.set(accountId, (taken.get(accountId) ?? 0n) + amount);
  };
  for (const command of commands) {
    if (command.kind === 'debit' || command.kind === 'hold') {
      take(command.accountId, command.amount);
    } else if (command.kind === 'post') {
      for (const { accountId, amount } of command.postings) take(accountId, -amount);
    } else if (command.kind === 'capture') {
      const { accountId = '' } = command;
      const wanted = command.amount ?? owners.get(command.holdId)?.amount ?? 0n;
      // Where it takes what there is, that can be all.
      const all = most.get(accountId) ?? 0n;
      take(accountId, wanted < all ? wanted : all);
    } else if (command.kind === 'void') {
      take(command.accountId, owners.get(command.grantId)?.amount ?? 0n);
    }
  }
  // A reversal takes what its original brought, and takes it from where that went.
  for (const { entries } of originals.values()) {
    for (const { accountId, amount } of entries) take(accountId, amount);
  }
  return taken;
}

/** What the accounts of a batch can get by it, at most. */
function broughtBy(
  commands: readonly Command[],
  originals: ReadonlyMap<Uuid, Transaction>,
): [Uuid, bigint][] {
  const lines: [Uuid, bigint][] = [];
  for (const command of commands) {
    if (command.kind === 'credit') lines.push([command.accountId, command.amount]);
    if (command.kind !== 'post') continue;
    for (const { accountId, amount } of command.postings) lines.push([accountId, amount]);
  }
  for (const { entries } of originals.values()) {
    for (const { accountId, amount } of entries) lines.push([accountId, -amount]);
  }
  return lines.filter(([, amount]) => amount > 0n);
}

function namedBy({ commands, originals, accounts }: Locked): Named {
  const holdIds: Uuid[] = [];
  const holdKeys: string[] = [];
  const grantIds: Uuid[] = [];
  const transactionIds: Uuid[] = [];
  for (const command of commands) {
    if (command.kind === 'hold') holdKeys.push(command.key);
    else if (command.kind === 'void') grantIds.push(command.grantId);
    else if (command.kind === 'capture') holdIds.push(command.holdId);
    else if (command.kind === 'release') holdIds.push(command.holdId);
    else if (command.kind === 'extend') holdIds.push(command.holdId);
  }
  for (const { id, entries, drawdowns } of originals.values()) {
    if (!entries.some(({ accountId }) => accounts.get(accountId)?.hasGrants)) continue;
    transactionIds.push(id);
    grantIds.push(...drawdowns.map(({ grantId }) => grantId));
  }
  return { holdIds, holdKeys, grantIds, transactionIds };
}
