import type { DeliveryLog } from '../ledger/index.js';

/**
 * How long a stop may take in all, in milliseconds, whatever does not end: less than the ten
 * seconds after which containers and service managers kill.
 */
export const STOP_MS_MAX = 9_000;

/**
 * The end of a process by SIGTERM or SIGINT. From the signal on a timer runs, also while the
 * process is still starting, so that it depends on no part's ending.
 */
export class Stop {
  /** Resolves with the first signal. */
  readonly asked: Promise<void>;
  readonly #log: DeliveryLog;
  /** What is being ended, or begun, and not done yet. */
  readonly #unfinished = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  /** Made first of all, for the first process of a container has no reaction of its own. */
  constructor(log: DeliveryLog) {
    this.#log = log;
    this.asked = new Promise((resolve) => {
      const stop = () => {
        this.#timer ??= setTimeout(() => this.#giveUp(), STOP_MS_MAX);
        resolve();
      };
      process.once('SIGTERM', stop);
      process.once('SIGINT', stop);
    });
  }

  /** Waits for one part, which the log names where it takes too long. */
  async waitFor<T>(part: string, work: Promise<T>): Promise<T> {
    this.#unfinished.add(part);
    try {
      return await work;
    } finally {
      this.#unfinished.delete(part);
    }
  }

  /** Says that all has ended: from here on the timer alone keeps nothing alive. */
  over(): void {
    this.#timer?.unref();
  }

  #giveUp(): void {
    const unfinished = [...this.#unfinished];
    this.#log.warn({ unfinished }, `ended after ${STOP_MS_MAX} ms although not all had finished`);
    process.exit(0);
  }
}
