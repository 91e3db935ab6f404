import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Uuid } from '../core/id.js';
import type { Endpoint } from '../store/webhooks/endpoints.js';

/**
 * Signing secrets at rest (decision 20): plain text, or sealed under a key that the database does
 * not have. A sealed one reads `sealed:v1:<key id>:<nonce>:<ciphertext and tag>`.
 */

export const SECRET_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_BYTES = 4;
const FORM = 'sealed:v1';

/** Whose secret it is: sealed into it, so that it cannot be put into another's place. */
export interface SecretPlace {
  readonly storeId: Uuid;
  readonly endpointId: Uuid;
  readonly part: 'current' | 'previous';
}

/** The secrets that an endpoint signs with, as they are. */
export interface SigningSecrets {
  readonly secret: string;
  readonly previousSecret: string | null;
}

/** A secret that cannot be read; its message is for the operator. */
export class SecretError extends Error {}

/** Reads a key of 32 bytes, in hex or base64 of either alphabet; undefined for any other text. */
export function parseSecretKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=$/, '');
  const key = Buffer.from(base64, 'base64');
  // What does not come out as it went in had something else in it, such as a missing character.
  const isWhole = key.toString('base64') === `${base64}=`;
  return key.length === SECRET_KEY_BYTES && isWhole ? key : undefined;
}

/** Tells keys apart and says nothing about them. */
export function secretKeyId(key: Buffer): string {
  const digest = createHmac('sha256', key).update('tallystick secret key id').digest();
  return digest.subarray(0, KEY_ID_BYTES).toString('hex');
}

export function isSealed(stored: string): boolean {
  return stored.startsWith('sealed:');
}

/** AES-256-GCM; the place is authenticated with it. @param nonce never used twice with a key. */
export function sealSecret(
  key: Buffer,
  secret: string,
  place: SecretPlace,
  nonce = randomBytes(NONCE_BYTES),
): string {
  const head = `${FORM}:${secretKeyId(key)}`;
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(head, place));
  const sealed = Buffer.concat([
    cipher.update(secret, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return `${head}:${nonce.toString('base64url')}:${sealed.toString('base64url')}`;
}

function boundTo(head: string, { storeId, endpointId, part }: SecretPlace): Buffer {
  return Buffer.from(`${head}:${storeId}:${endpointId}:${part}`);
}

function openSecret(key: Buffer, stored: string, place: SecretPlace): string {
  const [, , keyId, nonce, text] = stored.split(':');
  const sealed = Buffer.from(text!, 'base64url');
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce!, 'base64url'), options);
  decipher.setAAD(boundTo(`${FORM}:${keyId}`, place));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const secret = decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, 'utf8');
  // This is what compares the tag, and throws where anything was altered.
  return secret + decipher.final('utf8');
}

/** The operator's keys: the one that seals, if any, and all that open. */
export class SecretKeys {
  readonly #sealing: Buffer | undefined;
  readonly #opening = new Map<string, Buffer>();

  /** @param others open what is sealed under them, and seal nothing. */
  constructor(current?: Buffer, ...others: readonly (Buffer | undefined)[]) {
    this.#sealing = current;
    for (const key of [...others, current]) {
      if (key !== undefined) this.#opening.set(secretKeyId(key), key);
    }
  }

  /** The id of the key that seals; undefined where secrets are stored as plain text. */
  get sealingId(): string | undefined {
    return this.#sealing && secretKeyId(this.#sealing);
  }

  /** Whether a stored secret has the form that `seal` would give it now. */
  isCurrent(stored: string): boolean {
    if (this.#sealing === undefined) return !isSealed(stored);
    return stored.startsWith(`${FORM}:${secretKeyId(this.#sealing)}:`);
  }

  /** The form in which a secret is stored. */
  seal(secret: string, place: SecretPlace): string {
    return this.#sealing === undefined ? secret : sealSecret(this.#sealing, secret, place);
  }

  /** @throws {SecretError} where its key is not here, or it was tampered with. */
  open(stored: string, place: SecretPlace): string {
    if (!isSealed(stored)) return stored;
    const [form, version, keyId] = stored.split(':');
    const key = `${form}:${version}` === FORM ? this.#opening.get(keyId!) : undefined;
    if (key === undefined) throw new SecretError(this.#keyMissing(keyId));
    try {
      return openSecret(key, stored, place);
    } catch {
      throw new SecretError(
        `The secret is sealed under key ${keyId}, which is here, and yet does not open: it was altered, or moved from another webhook. Restore it from a backup, or rotate it with an overlap of 0 seconds.`,
      );
    }
  }

  /** @throws {SecretError} where either cannot be read. */
  openAll(endpoint: Endpoint): SigningSecrets {
    const { storeId, id: endpointId, storedSecret, storedPreviousSecret } = endpoint;
    const place = { storeId, endpointId };
    return {
      secret: this.open(storedSecret, { ...place, part: 'current' }),
      previousSecret:
        storedPreviousSecret === null
          ? null
          : this.open(storedPreviousSecret, { ...place, part: 'previous' }),
    };
  }

  #keyMissing(keyId: string | undefined): string {
    const known = [...this.#opening.keys()];
    const given = known.length === 0 ? 'none is set' : `set are ${known.join(' and ')}`;
    return `The secret is sealed under key ${keyId}, and ${given}. Set TALLYSTICK_SECRET_KEY, or TALLYSTICK_SECRET_KEY_PREVIOUS, to that key.`;
  }
}
