import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '../core/command.js';
import { refuse } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Store } from '../core/model.js';
import type { Engine } from '../store/db.js';
import { isConflict, isLost, sqlstate } from '../store/sqlstate.js';
import { commitBatch, type Outcome, UncertainError } from './commit.js';
import { isDivisible, type Pending, partitionOf, StoreQueue } from './store-queue.js';

/** How many commands may wait at once; one more is refused with `overloaded`. */
export const QUEUE_MAX = 5_000;

const CONFLICT_TRIES_MAX = 20;
/** How long a batch tries to reach a database that is away, before its callers are told. */
const AWAY_MS_MAX = 3_000;
const AWAY_PAUSE_MS = 100;
const UNIQUE_VIOLATION = '23505';

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
 * under load batches grow. A batch is of one store; stores take turns. There are as many
 * partitions of a store as lanes, so that one busy store can use them all.
 */
export class Batcher {
  readonly #engine: Engine;
  readonly #onEvents: () => void;
  readonly #queues = new Map<Uuid, StoreQueue>();
  #waiting = 0;
  #inFlight = 0;
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
    const { lanes } = this.#engine;
    if (commands.length === 1 || lanes === 1 || atomic || !isDivisible(commands)) {
      return this.#enqueue(store, commands, atomic, partitionOf(commands[0], lanes));
    }
    return this.#divide(store, commands);
  }

  /** Sends the commands of each partition by themselves. */
  async #divide(store: Store, commands: readonly Command[]): Promise<Outcome[]> {
    const places = new Map<number, number[]>();
    for (const [place, command] of commands.entries()) {
      const partition = partitionOf(command, this.#engine.lanes);
      const own = places.get(partition);
      if (own === undefined) places.set(partition, [place]);
      else own.push(place);
    }
    const outcomes = new Array<Outcome>(commands.length);
    const parts = [...places].map(async ([partition, own]) => {
      const part = own.map((place) => commands[place]!);
      const ended = await this.#enqueue(store, part, false, partition);
      for (const [index, place] of own.entries()) outcomes[place] = ended[index]!;
    });
    await Promise.all(parts);
    return outcomes;
  }

  #enqueue(
    store: Store,
    commands: readonly Command[],
    atomic: boolean,
    partition: number,
  ): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      let queue = this.#queues.get(store.id);
      if (queue === undefined) {
        queue = new StoreQueue(store, this.#engine.lanes);
        this.#queues.set(store.id, queue);
      }
      queue.add({ commands, atomic, partition, resolve, reject });
      this.#waiting += commands.length;
      this.#schedule();
    });
  }

  /** Resolves once nothing waits and nothing is in flight. */
  drained(): Promise<void> {
    if (this.#waiting === 0 && this.#inFlight === 0) return Promise.resolve();
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
    for (const queue of this.#queues.values()) {
      if (this.#inFlight >= this.#engine.lanes) return;
      const taken = queue.take();
      if (taken === undefined) continue;
      // What is left goes behind the other stores, and is met again by this very loop.
      this.#queues.delete(queue.store.id);
      this.#queues.set(queue.store.id, queue);
      this.#waiting -= countOf(taken.batch);
      this.#inFlight++;
      void this.#run(queue.store, taken.batch).finally(() => {
        taken.release();
        this.#inFlight--;
        if (queue.idle) this.#queues.delete(queue.store.id);
        this.#pump();
        if (this.#waiting === 0 && this.#inFlight === 0)
          for (const resolve of this.#idle.splice(0)) resolve();
      });
    }
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
