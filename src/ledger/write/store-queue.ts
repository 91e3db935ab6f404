import { accountsNamed, type Command, keyOf } from '../../core/command.js';
import type { Store } from '../../core/model.js';
import type { Pending } from './pending.js';

/** How many commands one database transaction carries at most. */
export const BATCH_MAX = 500;

/** What goes into one database transaction. */
export interface Taken {
  readonly batch: readonly Pending[];
  /** How many commands these are. */
  readonly count: number;
  /** To be called once the batch is done. */
  release(): void;
}

/**
 * What waits for one store. Its accounts are spread over partitions, and a partition has one batch
 * in flight, for a second one would mostly wait for the locks of its first. Batches of different
 * partitions wait for one another only where a command names accounts of both.
 *
 * A batch costs something by itself, so that partitions go apart only where there is more to do
 * than goes into one.
 */
export class StoreQueue {
  readonly store: Store;
  readonly #partitions: number;
  readonly #busy = new Set<number>();
  #pending: Pending[] = [];
  /** How many commands wait or are in flight. */
  #size = 0;
  #inFlight = 0;

  constructor(store: Store, partitions: number) {
    this.store = store;
    this.#partitions = partitions;
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return this.#pending.length === 0 && this.#busy.size === 0;
  }

  /** What waits, oldest first. */
  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /** How many commands wait. */
  get waiting(): number {
    return this.#size - this.#inFlight;
  }

  add(pending: Pending): void {
    this.#pending.push(pending);
    this.#size += pending.commands.length;
  }

  /** Takes the next batch; undefined where nothing waits that can go now. */
  take(): Taken | undefined {
    if (this.#size <= BATCH_MAX) {
      if (this.#busy.size > 0) return undefined;
      return this.#takeOf(Array.from({ length: this.#partitions }, (_, index) => index));
    }
    const first = this.#pending.find(({ partition }) => !this.#busy.has(partition));
    return first && this.#takeOf([first.partition]);
  }

  #takeOf(partitions: readonly number[]): Taken | undefined {
    const batch = fill(this.#pending, partitions);
    if (batch.length === 0) return undefined;
    const taken = new Set(batch);
    this.#pending = this.#pending.filter((pending) => !taken.has(pending));
    for (const partition of partitions) this.#busy.add(partition);
    const count = batch.reduce((sum, { commands }) => sum + commands.length, 0);
    this.#inFlight += count;
    return {
      batch,
      count,
      release: () => {
        this.#size -= count;
        this.#inFlight -= count;
        for (const partition of partitions) this.#busy.delete(partition);
      },
    };
  }
}

/** As much as goes into one database transaction; at least one, however large. */
function fill(pending: readonly Pending[], partitions: readonly number[]): Pending[] {
  const batch: Pending[] = [];
  let count = 0;
  for (const one of pending) {
    if (!partitions.includes(one.partition)) continue;
    if (batch.length > 0 && (one.together || count + one.commands.length > BATCH_MAX)) break;
    batch.push(one);
    count += one.commands.length;
    if (one.together) break;
  }
  return batch;
}

/** The partition of the first account that a command names; where it names none, the first one. */
export function partitionOf(command: Command | undefined, partitions: number): number {
  const accountId = command && accountsNamed(command)[0];
  // The last characters of an id are random.
  return accountId === undefined ? 0 : Number.parseInt(accountId.slice(-6), 16) % partitions;
}

/** Commands that read and change one account, and nothing else but keys. */
const OF_ONE_ACCOUNT = new Set<Command['kind']>(['credit', 'debit', 'hold', 'settle']);

/**
 * Whether a list comes to the same in whatever order its accounts have their turns: each command
 * is of one account, and no key comes twice.
 */
export function isDivisible(commands: readonly Command[]): boolean {
  const keys = new Set<string>();
  for (const command of commands) {
    if (!OF_ONE_ACCOUNT.has(command.kind)) return false;
    const key = command.kind === 'hold' ? command.key : keyOf(command);
    if (key === undefined) continue;
    if (keys.has(key)) return false;
    keys.add(key);
  }
  return true;
}
