import { RefusalError, refuse } from '../../core/errors.js';
import type { Uuid } from '../../core/id.js';
import { STALL_MS_MAX } from '../http/limits.js';

/** Exports that run at once, in one store and in one server: each of them keeps a reader busy. */
export const EXPORTS_PER_STORE_MAX = 2;
export const EXPORTS_MAX = 8;

export interface ExportLimits {
  readonly perStore: number;
  readonly overall: number;
  /** How long an export waits to be asked for its next page, in milliseconds. */
  readonly stallMs: number;
}

const LIMITS: ExportLimits = {
  perStore: EXPORTS_PER_STORE_MAX,
  overall: EXPORTS_MAX,
  stallMs: STALL_MS_MAX,
};

/** Keeps the number of exports small, and ends those that nobody reads. */
export class Exports {
  readonly #limits: ExportLimits;
  readonly #running = new Map<Uuid, number>();
  #count = 0;

  constructor(limits: ExportLimits = LIMITS) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Counts an export until it is read to its end, given up, or left alone for too long.
   *
   * @throws {RefusalError} where too many are running.
   */
  run(storeId: Uuid, pieces: AsyncIterable<string>): AsyncIterableIterator<string> {
    const running = this.#running.get(storeId) ?? 0;
    if (running >= this.#limits.perStore) throw new RefusalError(STORE_HAS_MANY);
    if (this.#count >= this.#limits.overall) throw new RefusalError(MANY);
    this.#running.set(storeId, running + 1);
    this.#count++;
    return new Export(pieces[Symbol.asyncIterator](), this.#limits.stallMs, () => {
      this.#count--;
      const left = this.#running.get(storeId)! - 1;
      if (left === 0) this.#running.delete(storeId);
      else this.#running.set(storeId, left);
    });
  }
}

/** The pieces of one export. A generator would not do: one that was never begun cannot be ended. */
class Export implements AsyncIterableIterator<string> {
  readonly #pieces: AsyncIterator<string>;
  readonly #stallMs: number;
  #onEnd: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(pieces: AsyncIterator<string>, stallMs: number, onEnd: () => void) {
    this.#pieces = pieces;
    this.#stallMs = stallMs;
    this.#onEnd = onEnd;
    this.#wait();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws where it was left alone for too long, or a page cannot be read. */
  async next(): Promise<IteratorResult<string>> {
    clearTimeout(this.#timer);
    if (this.#onEnd === undefined) throw new Error('The export has ended.');
    try {
      const result = await this.#pieces.next();
      if (result.done) this.#end();
      else if (this.#onEnd !== undefined) this.#wait();
      return result;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<string>> {
    this.#end();
    await this.#pieces.return?.();
    return { done: true, value: undefined };
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.return(), this.#stallMs);
    this.#timer.unref();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#onEnd?.();
    this.#onEnd = undefined;
  }
}

const STORE_HAS_MANY = refuse(
  'overloaded',
  `This store has ${EXPORTS_PER_STORE_MAX} exports running, as many as it may. Try again when one of them has ended.`,
);
const MANY = refuse('overloaded', 'Too many exports are running. Try again after a moment.');
