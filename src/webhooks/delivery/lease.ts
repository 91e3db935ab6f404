import type { Uuid } from '../../core/id.js';
import type { Db } from '../../store/engine/db.js';
import type { Endpoint } from '../../store/webhooks/endpoints.js';
import { giveLease, renewLease, takeLease } from '../../store/webhooks/leases.js';

const MARGIN_MS = 2_000;

export interface LeaseParts {
  readonly db: Db;
  /** Whose lease it is: one for each worker. */
  readonly owner: Uuid;
  /** For a whole attempt, in milliseconds. */
  readonly timeout: number;
}

interface Place {
  readonly storeId: Uuid;
  readonly id: Uuid;
}

/**
 * The right to deliver to one endpoint, which one server at a time has. It lasts so long that an
 * attempt which began in time has ended and been settled within it. By this process's own clock
 * it is counted from before it was asked for, so that it never seems longer than it is.
 */
export class Lease {
  readonly #parts: LeaseParts;
  readonly #place: Place;
  #askedAt: number;

  private constructor(parts: LeaseParts, place: Place, askedAt: number) {
    this.#parts = parts;
    this.#place = place;
    this.#askedAt = askedAt;
  }

  /** @returns undefined where another server delivers to this endpoint. */
  static async take(
    parts: LeaseParts,
    place: Place,
  ): Promise<{ lease: Lease; endpoint: Endpoint } | undefined> {
    const askedAt = performance.now();
    const { storeId, id } = place;
    const endpoint = await takeLease(parts.db, storeId, id, parts.owner, lengthOf(parts));
    return endpoint && { lease: new Lease(parts, place, askedAt), endpoint };
  }

  get isOver(): boolean {
    return performance.now() > this.#askedAt + lengthOf(this.#parts);
  }

  /** Whether an attempt that begins now ends within it for sure. */
  get outlastsAttempt(): boolean {
    const left = this.#askedAt + lengthOf(this.#parts) - performance.now();
    return left >= this.#parts.timeout + MARGIN_MS / 2;
  }

  /** Whether it is time to renew it. */
  get isAging(): boolean {
    return performance.now() - this.#askedAt >= this.#parts.timeout / 4;
  }

  /** @returns the endpoint as it is by now, or undefined where the lease is lost. */
  async renew(): Promise<Endpoint | undefined> {
    const askedAt = performance.now();
    const { storeId, id } = this.#place;
    const { db, owner } = this.#parts;
    const endpoint = await renewLease(db, storeId, id, owner, lengthOf(this.#parts));
    if (endpoint !== undefined) this.#askedAt = askedAt;
    return endpoint;
  }

  async giveBack(): Promise<void> {
    const { storeId, id } = this.#place;
    await giveLease(this.#parts.db, storeId, id, this.#parts.owner);
  }
}

function lengthOf({ timeout }: LeaseParts): number {
  return timeout * 2 + MARGIN_MS;
}
