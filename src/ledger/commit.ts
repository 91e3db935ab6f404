import type { Command } from '../core/command.js';
import type { Refusal } from '../core/errors.js';
import { deriveEvents, type OutboxEvent, type Subscription } from '../core/events.js';
import type { Uuid } from '../core/id.js';
import type { Account, Grant, Hold, Store, Transaction } from '../core/model.js';
import type { Decision } from '../core/state.js';
import type { Lane, Statement } from '../store/db.js';
import { readTransactions } from '../store/find.js';
import { insertOutbox } from '../store/outbox.js';
import { isLost } from '../store/sqlstate.js';
import {
  insertAccounts,
  insertEntries,
  insertTransactions,
  updateBalances,
  updateStatuses,
} from '../store/write.js';
import {
  insertDrawdowns,
  insertGrants,
  insertHolds,
  updateFunds,
  updateGrants,
  updateHolds,
} from '../store/write-funds.js';
import { Batch } from './batch.js';
import { newEventId } from './ids.js';
import { lockState, resolve } from './lock.js';

/** What became of a command. A refusal is a value; nothing on the write path raises one. */
export type Outcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'account'; readonly account: Account }
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly replayed: boolean }
  | { readonly kind: 'hold'; readonly hold: Hold; readonly replayed: boolean }
  | { readonly kind: 'grant'; readonly grant: Grant }
  | {
      readonly kind: 'settled';
      readonly transactions: readonly Transaction[];
      readonly holdsExpired: number;
      readonly grantsAnnounced: number;
    }
  /** It would have been carried out, but a later one of its atomic batch was refused. */
  | { readonly kind: 'undone' };

/** The connection went away after COMMIT was sent: it may have been carried out, or not. */
export class UncertainError extends Error {
  constructor(cause: unknown) {
    super('The connection was lost after COMMIT was sent.', { cause });
  }
}

export interface CommitOptions {
  /** Where true, the first refusal undoes all of it: nothing is written. */
  readonly atomic?: boolean;
  /** Called once events for webhook endpoints are committed. */
  readonly onEvents?: () => void;
}

/**
 * The one write path: decides commands of one store in order and commits what they come to, all
 * in one database transaction, together with the events that webhook endpoints want of it.
 *
 * @returns one outcome a command, in order; where an atomic batch was refused, only the outcomes
 * up to the culprit, which is the last.
 * @throws {UncertainError} where the commit's answer was lost; any other error means that nothing
 * was written. A unique violation (23505) means that another process won a race for a key or a
 * name: the batch can be run again and will find it.
 */
export async function commitBatch(
  lane: Lane,
  store: Store,
  commands: readonly Command[],
  { atomic = false, onEvents = () => {} }: CommitOptions = {},
): Promise<Outcome[]> {
  const resolved = await resolve(lane, store, commands);
  const settled: Batch[] = [];
  let locked = await lockState(lane, store, resolved);
  let batch = new Batch(locked.state);
  while (locked.settlesOnly) {
    await writeAll(lane, store, batch, locked.subscriptions, onEvents);
    settled.push(batch);
    locked = await lockState(lane, store, resolved);
    batch = new Batch(locked.state);
  }
  const decisions: Decision[] = [];
  for (const command of resolved.commands) {
    const decision = batch.decide(command);
    decisions.push(decision);
    if (atomic && decision.kind === 'refused') {
      await lane.query('rollback');
      return [...decisions.slice(0, -1).map(() => UNDONE), decision];
    }
  }
  await writeAll(lane, store, batch, locked.subscriptions, onEvents);
  const found = await readFound(lane, store, batch, decisions);
  return decisions.map((decision) => toOutcome(decision, found, [...settled, batch]));
}

const UNDONE: Outcome = { kind: 'undone' };

async function writeAll(
  lane: Lane,
  store: Store,
  batch: Batch,
  subscriptions: readonly Subscription[],
  onEvents: () => void,
): Promise<void> {
  const events = deriveEvents(store, batch.happenings, subscriptions, newEventId);
  await write(lane, store, batch, events);
  if (events.length > 0) onEvents();
}

async function write(
  lane: Lane,
  store: Store,
  batch: Batch,
  events: readonly OutboxEvent[],
): Promise<void> {
  const { transactions, opened, moved, refunded, restated } = batch;
  const { granted, grants, held, holds } = batch;
  const statements: Statement[] = [];
  if (opened.size > 0) statements.push(insertAccounts(store.id, [...opened.values()]));
  if (transactions.length > 0) {
    statements.push(insertTransactions(store.id, transactions));
    statements.push(insertEntries(store.id, transactions));
  }
  if (moved.size > 0) statements.push(updateBalances(store.id, [...moved.values()]));
  if (restated.size > 0) statements.push(updateStatuses(store.id, [...restated.values()]));
  if (refunded.size > 0) statements.push(updateFunds(store.id, [...refunded.values()]));
  if (granted.size > 0) statements.push(insertGrants(store.id, [...granted.values()]));
  if (grants.size > 0) statements.push(updateGrants(store.id, [...grants.values()]));
  if (held.size > 0) statements.push(insertHolds(store.id, [...held.values()]));
  if (holds.size > 0) statements.push(updateHolds(store.id, [...holds.values()]));
  const drawdowns = transactions.flatMap(({ id: transactionId, drawdowns: own }) =>
    own.map((drawdown) => ({ ...drawdown, transactionId })),
  );
  if (drawdowns.length > 0) statements.push(insertDrawdowns(store.id, drawdowns));
  if (events.length > 0) statements.push(insertOutbox(store.id, events));
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
  batch: Batch,
  decisions: readonly Decision[],
): Promise<Map<Uuid, Transaction>> {
  const sought = new Set<Uuid>();
  for (const decision of decisions) {
    if (decision.kind === 'found') sought.add(decision.transactionId);
  }
  const found = new Map<Uuid, Transaction>();
  if (sought.size === 0) return found;
  for (const transaction of batch.transactions) {
    if (sought.delete(transaction.id)) found.set(transaction.id, transaction);
  }
  if (sought.size === 0) return found;
  const read = await readTransactions(lane, store.id, [...sought]);
  return new Map([...found, ...read]);
}

function toOutcome(
  decision: Decision,
  found: ReadonlyMap<Uuid, Transaction>,
  batches: readonly Batch[],
): Outcome {
  switch (decision.kind) {
    case 'refused':
      return decision;
    case 'found': {
      const transaction = found.get(decision.transactionId)!;
      return { kind: 'transaction', transaction, replayed: decision.replayed };
    }
    case 'posted':
      return { kind: 'transaction', transaction: decision.transaction, replayed: false };
    case 'hold':
      return { kind: 'hold', hold: decision.hold, replayed: decision.replayed };
    case 'grant':
      return { kind: 'grant', grant: decision.grant };
    case 'settled':
      return settledOf(batches, decision.accountId, decision.changes.grants.length);
    default:
      return { kind: 'account', account: decision.account };
  }
}

/** What fell due on an account: the settling came before the command itself. */
function settledOf(batches: readonly Batch[], accountId: Uuid, grantsAnnounced: number): Outcome {
  const all = batches.flatMap((batch) => batch.transactions);
  const transactions = all.filter(
    ({ operation, entries }) =>
      (operation === 'expire' || operation === 'void') && entries[0]?.accountId === accountId,
  );
  const holds = batches.flatMap((batch) => [...batch.holds.values()]);
  const holdsExpired = holds.filter(
    (hold) => hold.accountId === accountId && hold.status === 'expired',
  ).length;
  return { kind: 'settled', transactions, holdsExpired, grantsAnnounced };
}
