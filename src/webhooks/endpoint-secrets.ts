import { RefusalError } from '../core/errors.js';
import type { Uuid } from '../core/id.js';
import type { Db } from '../store/engine/db.js';
import { type Endpoint, readEndpoint, rotateSecret } from '../store/webhooks/endpoints.js';
import { NO_WEBHOOK, ROTATED_TOO_OFTEN, SECRET_UNREADABLE } from './refusals.js';
import { SecretError, type SecretKeys, type SigningSecrets } from './secrets.js';
import { generateSecret } from './signature.js';

/** How often a rotation is tried that others come before. */
const ROTATE_TRIES_MAX = 20;

interface Place {
  readonly storeId: Uuid;
  readonly id: Uuid;
}

/** The signing secrets of endpoints, as they are used and as they are stored. */
export class EndpointSecrets {
  readonly #db: Db;
  readonly #keys: SecretKeys;

  constructor(db: Db, keys: SecretKeys) {
    this.#db = db;
    this.#keys = keys;
  }

  /** A new secret, and what is stored of it. */
  make({ storeId, id }: Place): { secret: string; stored: string } {
    const secret = generateSecret();
    return {
      secret,
      stored: this.#keys.seal(secret, { storeId, endpointId: id, part: 'current' }),
    };
  }

  /** @throws {RefusalError} `secret_unreadable` where the server lacks its key. */
  open(endpoint: Endpoint): SigningSecrets {
    try {
      return this.#keys.openAll(endpoint);
    } catch (error) {
      if (error instanceof SecretError) throw new RefusalError(SECRET_UNREADABLE);
      throw error;
    }
  }

  /**
   * Gives an endpoint a new secret. Where the old one is to sign as well, it must be readable.
   *
   * @param overlap for how many seconds the old secret signs as well.
   * @throws {RefusalError} `webhook_not_found`, `secret_unreadable` or `overloaded`.
   */
  async rotate(
    place: Place,
    overlap: number,
  ): Promise<{ secret: string; previousSecretUntil: number | null }> {
    const { storeId, id } = place;
    for (let tries = 0; tries < ROTATE_TRIES_MAX; tries++) {
      const endpoint = await readEndpoint(this.#db, storeId, id);
      if (endpoint === undefined) throw new RefusalError(NO_WEBHOOK);
      const { secret, stored } = this.make(place);
      const rotated = await rotateSecret(this.#db, storeId, id, {
        replaces: endpoint.storedSecret,
        secret: stored,
        previous: overlap === 0 ? null : this.#asPrevious(endpoint),
        overlap,
      });
      if (rotated !== undefined) {
        return { secret, previousSecretUntil: rotated.previousSecretUntil };
      }
    }
    throw new RefusalError(ROTATED_TOO_OFTEN);
  }

  /** It is sealed anew, for what is sealed can be moved to no other place. */
  #asPrevious(endpoint: Endpoint): string {
    const { storeId, id: endpointId } = endpoint;
    return this.#keys.seal(this.open(endpoint).secret, { storeId, endpointId, part: 'previous' });
  }
}
