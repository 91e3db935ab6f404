import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '../core/command.js';
import { refuse } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Store } from '../core/model.js';
import type { Engine } from '../store/db.js';
import { isConflict, isLost, sqlstate } from '../store/sqlstate.js';
import { commitBatch, type Outcome, UncertainError } from './commit.js';

/** How many commands one database transaction carries at most. */
export const BATCH_MAX = 500;
/** How many commands may wait at once; one more is refused with `overloaded`. */
export const QUEUE_MAX = 5_000;

const CONFLICT_TRIES_MAX = 20;
/** How long a batch tries to reach a database that is away, before its callers are told. */
const AWAY_MS_MAX = 3_000;
const AWAY_PAUSE_MS = 100;
const UNIQUE_VIOLATION = '23505';

/** Commands of one caller, which stay together and in order. */
interface Pending {
  readonly commands: readonly Command[];
  /** All or nothing; such commands have a database transaction of their own. */
  readonly atomic: boolean;
  readonly resolve: (outcomes: Outcome[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Queue {
  readonly store: Store;
  pending: Pending[];
}

const OVERLOADED: Outcome = {
  kind: 'refused',
  refusal: refuse('overloaded', 'Too many requests are waiting. Try again after a moment.'),
};

const UNAVAILABLE: Outcome = {
  kind: 'refused',
  refusal: refuse(
    'unavailable',
    'The database cannot be reached. Try again with the same idempotency key: nothing is done twice.',
  ),
};

/**
 * Group commit without a timer: while a lane's batch is in flight, what arrives queues, and when
 * the lane is free, all of it is the next batch. Idle latency is that of one transaction, and
 * under load batches grow. A batch is of one store; stores take turns.
 */
export class Batcher {
  readonly #engine: Engine;
  readonly #onEvents: () => void;
  readonly #queues = new Map<Uuid, Queue>();
  #waiting = 0;
  readonly #busy = new Set<Uuid>();
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** @param onEvents is called whenever events for webhook endpoints have been committed. */
  constructor(engine: Engine, onEvents: () => void = () => {}) {
    this.#engine = engine;
    this.#onEvents = onEvents;
  }

  /** How many commands wait for a lane. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Queues commands of one caller.
   *
   * @returns their outcomes in order, as `commitBatch` gives them.
   */
  submit(store: Store, commands: readonly Command[], atomic = false): Promise<Outcome[]> {
    if (this.#waiting >= QUEUE_MAX) return Promise.resolve(commands.map(() => OVERLOADED));
    return new Promise((resolve, reject) => {
      let queue = this.#queues.get(store.id);
      if (queue === undefined) {
        queue = { store, pending: [] };
        this.#queues.set(store.id, queue);
      }
      queue.pending.push({ commands, atomic, resolve, reject });
      this.#waiting += commands.length;
      this.#schedule();
    });
  }

  /** Resolves once nothing waits and nothing is in flight. */
  drained(): Promise<void> {
    if (this.#waiting === 0 && this.#busy.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** What arrives in one turn of the event loop goes together, at no cost in time. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#busy.size < this.#engine.lanes) {
      const queue = this.#next();
      if (queue === undefined) return;
      this.#queues.delete(queue.store.id);
      const batch = takeBatch(queue.pending);
      // What is left goes behind the other stores.
      if (queue.pending.length > 0) this.#queues.set(queue.store.id, queue);
      this.#waiting -= countOf(batch);
      this.#busy.add(queue.store.id);
      void this.#run(queue.store, batch).finally(() => {
        this.#busy.delete(queue.store.id);
        this.#pump();
        if (this.#waiting === 0 && this.#busy.size === 0)
          for (const resolve of this.#idle.splice(0)) resolve();
      });
    }
  }

  /**
   * The store that has waited longest, of those with nothing in flight: a second batch of one
   * store would only wait for the locks of its first.
   */
  #next(): Queue | undefined {
    for (const queue of this.#queues.values()) if (!this.#busy.has(queue.store.id)) return queue;
    return undefined;
  }

  async #run(store: Store, batch: readonly Pending[]): Promise<void> {
    if (batch.length === 0) return;
    try {
      const outcomes = await this.#commit(store, batch);
      let start = 0;
      for (const { commands, resolve } of batch) {
        resolve(outcomes.slice(start, start + commands.length));
        start += commands.length;
      }
    } catch (error) {
      await this.#settle(store, batch, error);
    }
  }

  /** Answers a batch that failed as a whole. */
  async #settle(store: Store, batch: readonly Pending[], error: unknown): Promise<void> {
    if (error instanceof UncertainError) {
      // A key or an id tells whether the lost commit was carried out. A change of status has
      // neither, so its caller is told to look.
      for (const pending of batch) if (!isRecognisable(pending)) refuseAll(pending);
      await this.#run(store, batch.filter(isRecognisable));
    } else if (isLost(error)) {
      for (const pending of batch) refuseAll(pending);
    } else if (batch.length === 1) {
      batch[0]!.reject(error);
    } else {
      // One culprit must not sink its neighbours.
      for (const pending of batch) await this.#run(store, [pending]);
    }
  }

  async #commit(store: Store, batch: readonly Pending[]): Promise<Outcome[]> {
    const commands = batch.flatMap((pending) => pending.commands);
    const { atomic } = batch[0]!;
    const onEvents = this.#onEvents;
    const started = Date.now();
    for (let tries = 1; ; tries++) {
      try {
        return await this.#engine.onLane((lane) =>
          commitBatch(lane, store, commands, { atomic, onEvents }),
        );
      } catch (error) {
        if (!(await this.#canTryAgain(error, tries, started, batch))) throw error;
      }
    }
  }

  async #canTryAgain(
    error: unknown,
    tries: number,
    started: number,
    batch: readonly Pending[],
  ): Promise<boolean> {
    if (isConflict(error) || sqlstate(error) === UNIQUE_VIOLATION)
      return tries < CONFLICT_TRIES_MAX;
    const uncertain = error instanceof UncertainError;
    if (uncertain && !batch.every(isRecognisable)) return false;
    if (!uncertain && !isLost(error)) return false;
    if (Date.now() - started > AWAY_MS_MAX) return false;
    await sleep(AWAY_PAUSE_MS);
    return true;
  }
}

/** Takes what goes into one database transaction; at least one, however large. */
function takeBatch(pending: Pending[]): Pending[] {
  let count = 0;
  let size = 0;
  for (const { commands, atomic } of pending) {
    if (size > 0 && (atomic || count + commands.length > BATCH_MAX)) break;
    count += commands.length;
    size++;
    if (atomic) break;
  }
  return pending.splice(0, size);
}

function countOf(batch: readonly Pending[]): number {
  return batch.reduce((sum, { commands }) => sum + commands.length, 0);
}

function refuseAll({ commands, resolve }: Pending): void {
  resolve(commands.map(() => UNAVAILABLE));
}

const UNRECOGNISABLE = new Set<Command['kind']>(['freeze', 'unfreeze', 'close', 'extend']);

function isRecognisable({ commands }: Pending): boolean {
  return commands.every(({ kind }) => !UNRECOGNISABLE.has(kind));
}
