import type { Command } from '../../core/command.js';
import { deriveEvents, type OutboxEvent } from '../../core/events/derive.js';
import type { Uuid } from '../../core/id.js';
import type { Store, Transaction } from '../../core/model.js';
import type { Decision } from '../../core/state.js';
import type { Lane } from '../../store/engine/db.js';
import { isLost } from '../../store/engine/sqlstate.js';
import { newEventId } from '../../store/ids.js';
import { readVoids } from '../../store/read/funds.js';
import { readTransactions, toSubscriptions } from '../../store/write/find.js';
import { Batch } from './batch.js';
import { accountsOf, type Locked, loadState, lockBatch, type Resolved, resolve } from './lock.js';
import { type Busy, type Outcome, toOutcome, UNDONE } from './outcome.js';

/** The connection went away after COMMIT was sent: it may have been carried out, or not. */
export class UncertainError extends Error {
  constructor(cause: unknown) {
    super('The connection was lost after COMMIT was sent.', { cause });
  }
}

export interface CommitOptions {
  /** Where true, the first refusal undoes all of it: nothing is written. */
  readonly atomic?: boolean;
  /** Where true, nothing is carried out unless all of the commands' accounts can be locked. */
  readonly together?: boolean;
  /** Accounts that were busy before, which are waited for. */
  readonly waitFor?: readonly Uuid[];
  /** Called once events for webhook endpoints are committed. */
  readonly onEvents?: () => void;
}

/**
 * The one write path: decides commands of one store in order and commits what they come to, all
 * in one database transaction, together with the events that webhook endpoints want of it.
 *
 * Commands whose accounts others have locked are left out, and come to `busy`.
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
  options: CommitOptions = {},
): Promise<(Outcome | Busy)[]> {
  const { atomic = false, together = atomic, waitFor = [], onEvents = () => {} } = options;
  const resolved = await resolve(lane, store, commands);
  const batches: Batch[] = [];
  for (;;) {
    const locked = await lockBatch(lane, store, resolved, waitFor);
    const busy = busyOf(resolved, locked);
    if (busy.size === commands.length || (together && busy.size > 0)) {
      await lane.rollback();
      const accountIds = [...locked.busy];
      return commands.map(() => ({ kind: 'busy', accountIds }));
    }
    const { state, settlesOnly } = await loadState(lane, store, resolved, locked);
    const batch = new Batch(state);
    batches.push(batch);
    const decisions = settlesOnly ? [] : decideAll(batch, resolved.commands, busy, atomic);
    const last = decisions.at(-1);
    if (atomic && last?.kind === 'refused') {
      await lane.rollback();
      return [...decisions.slice(0, -1).map(() => UNDONE), last];
    }
    const subscriptions = toSubscriptions(locked.observed);
    const events = deriveEvents(store, batch.happenings, subscriptions, newEventId);
    await write(lane, store, batch, events);
    if (events.length > 0) onEvents();
    if (!settlesOnly) return outcomesOf(lane, store, batches, decisions);
  }
}

/** Decides in order; where atomic, up to the first refusal. */
function decideAll(
  batch: Batch,
  commands: readonly Command[],
  busy: ReadonlyMap<Command, Busy>,
  atomic: boolean,
): (Decision | Busy)[] {
  const decisions: (Decision | Busy)[] = [];
  for (const command of commands) {
    const decision = busy.get(command) ?? batch.decide(command);
    decisions.push(decision);
    if (atomic && decision.kind === 'refused') break;
  }
  return decisions;
}

/** Reads what outcomes tell beyond what was decided, once all is committed. */
async function outcomesOf(
  lane: Lane,
  store: Store,
  batches: readonly Batch[],
  decisions: readonly (Decision | Busy)[],
): Promise<(Outcome | Busy)[]> {
  const found = await readFound(lane, store, batches.at(-1)!, decisions);
  const voided = decisions.flatMap((one) => (one.kind === 'grant' ? [one.grant.id] : []));
  const voids = await readVoids(lane, store.id, voided);
  return decisions.map((decision) => toOutcome(decision, { found, voids }, batches));
}

const NONE: ReadonlyMap<Command, Busy> = new Map();

/** The commands that need an account which another has locked. */
function busyOf({ commands, originals }: Resolved, { busy }: Locked): ReadonlyMap<Command, Busy> {
  if (busy.size === 0) return NONE;
  const found = new Map<Command, Busy>();
  for (const command of commands) {
    const accountIds = accountsOf(command, originals).filter((id) => busy.has(id));
    if (accountIds.length > 0) found.set(command, { kind: 'busy', accountIds });
  }
  return found;
}

async function write(
  lane: Lane,
  store: Store,
  { writes }: Batch,
  events: readonly OutboxEvent[],
): Promise<void> {
  writes.add('events', events);
  try {
    await lane.commit(writes.statements(store.id));
  } catch (error) {
    throw isLost(error) ? new UncertainError(error) : error;
  }
}

/** Reads the transactions that keys led to and that are not of this batch. */
async function readFound(
  lane: Lane,
  store: Store,
  batch: Batch,
  decisions: readonly (Decision | Busy)[],
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
