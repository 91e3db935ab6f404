import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import type { Store } from '../../src/core/model.js';
import { Pending } from '../../src/ledger/write/pending.js';
import { BATCH_MAX, StoreQueue, type Taken } from '../../src/ledger/write/store-queue.js';
import { newId } from '../../src/store/ids.js';

/** In which order what waits for a store is taken, without any database. */

const PARTITIONS = 3;
const STORE: Store = {
  id: newId(),
  name: 'main',
  mode: 'test',
  issuanceId: newId(),
  redemptionId: newId(),
  breakageId: newId(),
};
const COMMAND: Command = { kind: 'settle', accountId: newId(), aheadMs: 0 };

function pendingOf(partition: number, count: number, together = false): Pending {
  const commands = Array.from({ length: count }, () => COMMAND);
  return new Pending({ store: STORE, commands, atomic: false, together, partition });
}

/** Adds, takes and ends batches, and holds the queue to what it promises at every step. */
class Walk {
  readonly #queue = new StoreQueue(STORE, PARTITIONS);
  readonly #flying: { taken: Taken; alone: boolean }[] = [];
  /** By partition: what was added and not taken yet, oldest first. */
  readonly #waiting = Array.from({ length: PARTITIONS }, (): Pending[] => []);

  add(pending: Pending): void {
    this.#waiting[pending.partition]!.push(pending);
    this.#queue.add(pending);
  }

  take(): boolean {
    const alone = this.#size <= BATCH_MAX;
    const taken = this.#queue.take();
    if (taken === undefined) {
      // Nothing is held back unless something is in flight that it must not go beside.
      if (this.#flying.length === 0) expect(this.#waiting.flat()).toEqual([]);
      return false;
    }
    this.#holds(taken, alone);
    this.#flying.push({ taken, alone });
    expect(this.#queue.waiting).toBe(this.#count(this.#waiting.flat()));
    return true;
  }

  end(place: number): void {
    const [ended] = this.#flying.splice(place % Math.max(this.#flying.length, 1), 1);
    ended?.taken.release();
  }

  drain(): void {
    while (this.take() || this.#flying.length > 0) this.end(0);
    expect(this.#queue.idle).toBe(true);
    expect(this.#waiting.flat()).toEqual([]);
  }

  #holds({ batch, count }: Taken, alone: boolean): void {
    expect(count).toBe(this.#count(batch));
    expect(batch.length === 1 || count <= BATCH_MAX).toBe(true);
    const together = batch.findIndex((pending) => pending.together);
    expect(together === -1 || batch.length === 1).toBe(true);
    const partitions = new Set(batch.map(({ partition }) => partition));
    if (alone) expect(this.#flying).toEqual([]);
    else expect(partitions.size).toBe(1);
    for (const { taken } of this.#flying) {
      for (const { partition } of taken.batch) expect(partitions).not.toContain(partition);
    }
    // Each partition's commands go in the order in which they came.
    for (const pending of batch) expect(this.#waiting[pending.partition]!.shift()).toBe(pending);
  }

  get #size(): number {
    const flying = this.#flying.flatMap(({ taken }) => taken.batch);
    return this.#count([...this.#waiting.flat(), ...flying]);
  }

  #count(list: readonly Pending[]): number {
    return list.reduce((sum, { commands }) => sum + commands.length, 0);
  }
}

test('whatever comes and ends in whatever order, each partition keeps its order', () => {
  const partition = fc.integer({ min: 0, max: PARTITIONS - 1 });
  const count = fc.oneof(
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 150, max: 2 * BATCH_MAX }),
  );
  const added = fc.tuple(partition, count, fc.boolean());
  const step = fc.oneof(
    added.map(
      ([p, n, together]) =>
        (walk: Walk) =>
          walk.add(pendingOf(p, n, together)),
    ),
    fc.constant((walk: Walk) => void walk.take()),
    fc.nat(9).map((place) => (walk: Walk) => walk.end(place)),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const walk = new Walk();
      for (const take of steps) take(walk);
      walk.drain();
    }),
  );
});

test('partitions go apart only where more waits than goes into one batch', () => {
  const queue = new StoreQueue(STORE, PARTITIONS);
  queue.add(pendingOf(0, 1));
  queue.add(pendingOf(1, BATCH_MAX - 1));
  const both = queue.take()!;
  expect(both.count).toBe(BATCH_MAX);
  queue.add(pendingOf(2, 1));
  expect(queue.take()).toBeUndefined();
  both.release();
  queue.add(pendingOf(0, BATCH_MAX));
  expect([queue.take()!.batch[0]!.partition, queue.take()!.batch[0]!.partition]).toEqual([2, 0]);
});
