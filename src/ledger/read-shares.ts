import { RefusalError, refuse } from '../core/errors.js';
import type { Db, Result } from '../store/engine/db.js';
import { READERS_MAX } from '../store/engine/postgres.js';

/** How many statements of one store are read at once, so that there is room for the others. */
export const STORE_READS_MAX = READERS_MAX - 2;
/** How many more of one store may wait; one more is refused with `overloaded`. */
export const READS_WAITING_MAX = 1_000;
/** How long one waits for its turn at most. */
export const READ_WAIT_MS_MAX = 1_000;

const OVERLOADED = refuse(
  'overloaded',
  'Too many reads of this store are waiting. Send fewer at a time, and try again after a moment.',
);

interface Share {
  running: number;
  readonly waiting: (() => void)[];
}

/**
 * Shares the readers between stores. While there is room everybody reads at once; where there is
 * none, the store that reads least is next. So slow reads of one store, however many, never keep
 * the others from being answered.
 */
export class ReadShares implements Db {
  readonly #db: Db;
  readonly #shares = new Map<unknown, Share>();
  #running = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * Every statement of a store has its id as the first value; one without is of no store.
   *
   * @throws {RefusalError} `overloaded` where too many of a store wait, or one waits too long.
   */
  async query(text: string, values?: unknown[]): Promise<Result> {
    const storeId = values?.[0];
    const share = this.#shareOf(storeId);
    if (this.#hasRoom(share)) this.#start(share);
    else await this.#turn(share);
    try {
      return await this.#db.query(text, values);
    } finally {
      this.#end(storeId, share);
    }
  }

  #shareOf(storeId: unknown): Share {
    let share = this.#shares.get(storeId);
    if (share === undefined) {
      share = { running: 0, waiting: [] };
      this.#shares.set(storeId, share);
    }
    return share;
  }

  #hasRoom({ running }: Share): boolean {
    return running < STORE_READS_MAX && this.#running < READERS_MAX;
  }

  #start(share: Share): void {
    share.running++;
    this.#running++;
  }

  /** Waits until this store is next. */
  #turn(share: Share): Promise<void> {
    if (share.waiting.length >= READS_WAITING_MAX) throw new RefusalError(OVERLOADED);
    return new Promise((resolve, reject) => {
      const begin = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        share.waiting.splice(share.waiting.indexOf(begin), 1);
        reject(new RefusalError(OVERLOADED));
      }, READ_WAIT_MS_MAX);
      share.waiting.push(begin);
    });
  }

  #end(storeId: unknown, share: Share): void {
    share.running--;
    this.#running--;
    const next = this.#next();
    if (next !== undefined) {
      this.#start(next);
      next.waiting.shift()!();
    }
    if (share.running === 0 && share.waiting.length === 0) this.#shares.delete(storeId);
  }

  /** Of the stores that have something waiting and room for it, the one that reads least. */
  #next(): Share | undefined {
    let next: Share | undefined;
    for (const share of this.#shares.values()) {
      if (share.waiting.length === 0 || !this.#hasRoom(share)) continue;
      if (next === undefined || share.running < next.running) next = share;
    }
    return next;
  }
}
