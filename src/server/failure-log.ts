import { isUnavailable } from '../ledger/index.js';
import type { Log } from './app.js';

/** How often a state of the database that makes many requests fail is told again. */
const REMIND_MS = 10_000;

/**
 * Logs why requests fail. What is one request's own is told each time; what the database's state
 * makes of many requests at once is told once, and then with how many it was.
 */
export class FailureLog {
  readonly #log: Log;
  #toldAt = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  note(error: unknown, requestId: string): void {
    if (!isUnavailable(error)) {
      this.#log.error({ requestId, err: error }, 'request failed');
      return;
    }
    this.#untold++;
    const now = performance.now();
    if (now - this.#toldAt < REMIND_MS) return;
    this.#log.error({ requestId, requests: this.#untold, err: error }, 'the database fails');
    this.#toldAt = now;
    this.#untold = 0;
  }
}
