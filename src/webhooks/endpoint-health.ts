import type { Db } from '../store/engine/db.js';
import { disableEndpoint, type Endpoint, markFailing } from '../store/webhooks/endpoints.js';
import type { Attempted } from '../store/webhooks/outbox.js';

export interface DeliveryLog {
  warn(fields: object, message: string): void;
}

const FAILURES_TO_MARK = 5;
const FAILURES_TO_SLOW_DOWN = 10;
const LONG_FAILING_MS = 24 * 60 * 60 * 1000;
const GONE = 'The endpoint answered 410 Gone.';

/** Notes since when an endpoint has failed, or that it is gone, which its owner is shown. */
export class EndpointHealth {
  readonly #db: Db;
  readonly #log: DeliveryLog;
  #failures = 0;
  #warned = false;

  constructor(db: Db, log: DeliveryLog) {
    this.#db = db;
    this.#log = log;
  }

  /** Whether it has failed so often in a row that it is spared more than a few attempts. */
  get struggles(): boolean {
    return this.#failures >= FAILURES_TO_SLOW_DOWN;
  }

  /**
   * One failure is nothing; several in a row, or again after a wait, are a failing endpoint. It
   * is written only where it changes.
   */
  async note(endpoint: Endpoint, results: readonly Attempted[]): Promise<Endpoint> {
    const works = results.some(({ status }) => status === 'delivered');
    this.#failures = works ? 0 : this.#failures + results.length;
    const fails =
      !works && (this.#failures >= FAILURES_TO_MARK || results.some(({ tries }) => tries > 1));
    const { failingSince } = endpoint;
    if (works && failingSince !== null) return this.#mark(endpoint, false);
    if (fails && failingSince === null) return this.#mark(endpoint, true);
    if (fails && Date.now() - failingSince! > LONG_FAILING_MS && !this.#warned) {
      this.#warned = true;
      const { host } = new URL(endpoint.url);
      this.#log.warn({ endpoint: endpoint.id, host }, 'a webhook endpoint has failed for a day');
    }
    return endpoint;
  }

  /** Whoever answers 410 asks for it. Its events wait, for it may have been a mistake. */
  async disable({ storeId, id, url }: Endpoint): Promise<void> {
    if (!(await disableEndpoint(this.#db, storeId, id, GONE))) return;
    this.#log.warn(
      { endpoint: id, host: new URL(url).host },
      'a webhook endpoint answered 410 Gone and is disabled; its events are kept',
    );
  }

  async #mark(endpoint: Endpoint, failing: boolean): Promise<Endpoint> {
    await markFailing(this.#db, endpoint.storeId, endpoint.id, failing);
    return { ...endpoint, failingSince: failing ? Date.now() : null };
  }
}
