import type { Command } from '../../core/command.js';
import { type Refusal, refuse } from '../../core/errors.js';
import type { Uuid } from '../../core/id.js';
import type { Store } from '../../core/model.js';
import type { Engine } from '../../store/engine/db.js';
import { BatchRunner, type SetAside, UNAVAILABLE } from './batch-runner.js';
import type { Outcome } from './outcome.js';
import { Pending, type PendingFields } from './pending.js';
import { isDivisible, partitionOf, StoreQueue } from './store-queue.js';
import { WaitingLine } from './waiting-line.js';
import { WriteHealth } from './write-health.js';

/** How many commands may wait at once; one more is refused with `overloaded`. */
export const QUEUE_MAX = 5_000;
/** How many of them may be of one store, so that there is always room for the others. */
export const STORE_QUEUE_MAX = 4_000;
/** How long a caller waits for its answer at most, whatever it waits for. */
export const ANSWER_MS_MAX = 4_500;
const WATCH_EVERY_MS = 100;

const OVERLOADED = refuse('overloaded', 'Too many requests are waiting. Try again after a moment.');
const ACCOUNT_BUSY = refuse(
  'account_busy',
  'Another transaction has locked an account that this request needs. Try again with the same idempotency key: nothing is done twice.',
);

/** What is told to those who wait too long, by where they wait. */
const TOO_LATE: Readonly<Record<Pending['whereabouts'], Refusal>> = {
  queue: OVERLOADED,
  flight: UNAVAILABLE,
  line: ACCOUNT_BUSY,
};

/**
 * Group commit without a timer: while a lane's batch is in flight, what arrives queues, and when
 * the lane is free, all of it is the next batch. Idle latency is that of one transaction, and
 * under load batches grow. A batch is of one store; stores take turns. There are as many
 * partitions of a store as lanes, so that one busy store can use them all.
 *
 * Nobody waits for ever: what is not answered in time is refused, wherever it is by then. What is
 * in flight ends by itself, and its key tells whoever asks again what became of it.
 */
export class Batcher {
  readonly health = new WriteHealth();
  readonly #engine: Engine;
  readonly #runner: BatchRunner;
  readonly #line: WaitingLine;
  readonly #queues = new Map<Uuid, StoreQueue>();
  /** What is being tried: an array, for a long-lived Set keeps what it once held from dying. */
  readonly #flights: (readonly Pending[])[] = [];
  #watch: NodeJS.Timeout | undefined;
  /** How many commands wait for a lane. */
  #waiting = 0;
  #inFlight = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** @param onEvents is called whenever events for webhook endpoints have been committed. */
  constructor(engine: Engine, onEvents: () => void = () => {}) {
    this.#engine = engine;
    this.#runner = new BatchRunner(engine, this.health, onEvents);
    this.#line = new WaitingLine((store, batch, waitFor) => this.#try(store, batch, waitFor));
  }

  /** How many commands wait for a lane, or for an account that is locked. */
  get waiting(): number {
    return this.#waiting + this.#line.size;
  }

  /** How many callers wait for an answer, whatever it is that they wait for. */
  get unanswered(): number {
    let count = 0;
    for (const { answered } of this.#all()) if (!answered) count++;
    return count;
  }

  *#all(): Iterable<Pending> {
    for (const queue of this.#queues.values()) yield* queue.pending;
    for (const flight of this.#flights) yield* flight;
    yield* this.#line.pending();
  }

  /**
   * Queues commands of one caller.
   *
   * @returns their outcomes in order, as `commitBatch` gives them.
   */
  submit(store: Store, commands: readonly Command[], atomic = false): Promise<readonly Outcome[]> {
    if (this.#isFull(store)) {
      return Promise.resolve(commands.map(() => ({ kind: 'refused', refusal: OVERLOADED })));
    }
    const { lanes } = this.#engine;
    const together = atomic || (commands.length > 1 && !isDivisible(commands));
    if (commands.length > 1 && lanes > 1 && !together) return this.#divide(store, commands);
    const partition = partitionOf(commands[0], lanes);
    return this.#enqueue({ store, commands, atomic, together, partition });
  }

  #isFull(store: Store): boolean {
    if (this.waiting < STORE_QUEUE_MAX) return false;
    const own = (this.#queues.get(store.id)?.waiting ?? 0) + this.#line.sizeOf(store);
    return this.waiting >= QUEUE_MAX || own >= STORE_QUEUE_MAX;
  }

  /** Sends the commands of each partition by themselves. */
  async #divide(store: Store, commands: readonly Command[]): Promise<readonly Outcome[]> {
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
      const fields = { store, commands: part, atomic: false, together: false, partition };
      const ended = await this.#enqueue(fields);
      for (const [index, place] of own.entries()) outcomes[place] = ended[index]!;
    });
    await Promise.all(parts);
    return outcomes;
  }

  #enqueue(fields: PendingFields): Promise<readonly Outcome[]> {
    const { store, commands } = fields;
    const pending = new Pending(fields);
    this.#watch ??= setInterval(() => this.#refuseLate(), WATCH_EVERY_MS).unref();
    const accountIds = this.#line.busyOf(store, commands);
    if (accountIds.length > 0) {
      this.#line.add(store, [{ pending, accountIds }]);
      return pending.outcomes;
    }
    let queue = this.#queues.get(store.id);
    if (queue === undefined) {
      queue = new StoreQueue(store, this.#engine.lanes);
      this.#queues.set(store.id, queue);
    }
    queue.add(pending);
    this.#waiting += commands.length;
    this.#schedule();
    return pending.outcomes;
  }

  /** Refuses what has waited for too long. */
  #refuseLate(): void {
    const late = performance.now() - ANSWER_MS_MAX;
    for (const pending of this.#all()) {
      if (pending.since <= late) pending.refuse(TOO_LATE[pending.whereabouts]);
    }
    this.#restIfIdle();
  }

  /** Resolves once nothing waits and nothing is in flight. */
  drained(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  #isIdle(): boolean {
    return this.#waiting === 0 && this.#inFlight === 0 && this.#line.idle;
  }

  #restIfIdle(): void {
    if (!this.#isIdle()) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
    for (const resolve of this.#idle.splice(0)) resolve();
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
      this.#waiting -= taken.count;
      this.#inFlight++;
      let isOver = false;
      const over = () => {
        if (isOver) return;
        isOver = true;
        taken.release();
        this.#inFlight--;
        if (queue.idle) this.#queues.delete(queue.store.id);
        this.#pump();
      };
      void this.#run(queue.store, taken.batch, over).finally(() => {
        over();
        if (this.#idle.length > 0) this.#restIfIdle();
      });
    }
  }

  async #run(store: Store, batch: readonly Pending[], onCommitted: () => void): Promise<void> {
    const aside = await this.#try(store, batch, undefined, onCommitted);
    // The sweep comes again by itself, and meanwhile has others to settle.
    for (const { pending } of aside) if (isSettling(pending)) pending.refuse(ACCOUNT_BUSY);
    this.#line.add(store, aside);
  }

  async #try(
    store: Store,
    batch: readonly Pending[],
    waitFor?: readonly Uuid[],
    onCommitted?: () => void,
  ): Promise<SetAside[]> {
    this.#flights.push(batch);
    const aside = await this.#runner.run(store, batch, waitFor, onCommitted);
    this.#flights.splice(this.#flights.indexOf(batch), 1);
    return aside;
  }
}

function isSettling({ commands }: Pending): boolean {
  return commands.every(({ kind }) => kind === 'settle');
}
