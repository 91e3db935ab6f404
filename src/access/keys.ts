import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Uuid } from '../core/id.js';
import type { Store, StoreMode } from '../core/model.js';
import type { Db } from '../store/engine/db.js';
import { newId } from '../store/ids.js';
import {
  type ApiKey,
  ensureStore,
  findKey,
  insertKey,
  readStore,
  touchKey,
} from '../store/read/directory.js';

/** API keys: made here, stored only as a hash, looked up at most once a second each. */

export const SCOPES = [
  'credits:read',
  'credits:write',
  'webhooks:read',
  'webhooks:write',
  '*',
] as const;
export const DEFAULT_STORE = 'default';

/** For how long an answer about a key may be used: revoking a key takes no longer to be felt. */
export const KEY_MAX_AGE_MS = 1_000;
const KEY_REFRESH_AGE_MS = 500;
const KEYS_CACHED_MAX = 10_000;
const LAST_USED_STEP_MS = 60_000;
const SECRET_BYTES = 24;
const HINT_LENGTH = 16;

// Longer prefixes come first: `creem_test_` also begins with `creem_`.
const PREFIXES: readonly (readonly [prefix: string, mode: StoreMode])[] = [
  ['tally_test_', 'test'],
  ['creem_test_', 'test'],
  ['tally_live_', 'live'],
  ['creem_', 'live'],
];
const KEY_LENGTH_MIN = 20;
const KEY_LENGTH_MAX = 200;

/** Whom a key lets in, and to what. */
export interface Access {
  readonly keyId: Uuid;
  readonly store: Store;
  readonly scopes: ReadonlySet<string>;
}

/** The mode of the stores that a key of this form can open; undefined for any other form. */
export function modeOfKey(key: string): StoreMode | undefined {
  return PREFIXES.find(([prefix]) => key.startsWith(prefix))?.[1];
}

/** What is wrong with a key that someone chose; undefined where it will do. */
export function keyFault(key: string): string | undefined {
  if (modeOfKey(key) === undefined) {
    return 'an API key begins with tally_test_ or creem_test_ (test store), or tally_live_ or creem_ (live store)';
  }
  if (key.length < KEY_LENGTH_MIN || key.length > KEY_LENGTH_MAX || !/^[\x21-\x7e]+$/.test(key)) {
    return `an API key has ${KEY_LENGTH_MIN} to ${KEY_LENGTH_MAX} visible ASCII characters`;
  }
  return undefined;
}

export function generateKey(mode: StoreMode): string {
  return `tally_${mode}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

function digest(key: string): string {
  return hash('sha256', key, 'hex');
}

/**
 * Makes sure that a key opens a store of its mode, which is created where it is missing.
 *
 * @returns the key's id where it is new, undefined where it was there already.
 */
export async function ensureKey(
  db: Db,
  key: string,
  options: { store?: string; name: string; scopes: readonly string[] },
): Promise<Uuid | undefined> {
  const store = await ensureStore(db, {
    id: newId(),
    name: options.store ?? DEFAULT_STORE,
    mode: modeOfKey(key)!,
    issuanceId: newId(),
    redemptionId: newId(),
    breakageId: newId(),
  });
  const id = newId();
  const inserted = await insertKey(db, {
    id,
    storeId: store.id,
    hash: Buffer.from(digest(key), 'hex'),
    hint: key.slice(0, HINT_LENGTH),
    name: options.name,
    scopes: options.scopes,
  });
  return inserted ? id : undefined;
}

interface Cached {
  readonly access: Access | undefined;
  /** When the database was asked, not when it answered. */
  readonly askedAt: number;
  refreshing: boolean;
}

/** Answers whom a key lets in, from memory where the answer is younger than a second. */
export class KeyRing {
  readonly #db: Db;
  readonly #cache = new Map<string, Cached>();
  /** Questions that are on their way; many requests at once ask the database only once. */
  readonly #asking = new Map<string, { answer: Promise<Access | undefined>; askedAt: number }>();
  readonly #lastUsed = new Map<Uuid, number>();

  constructor(db: Db) {
    this.#db = db;
  }

  /** @returns undefined where the key is unknown or revoked. */
  authenticate(key: string): Access | undefined | Promise<Access | undefined> {
    const hashed = digest(key);
    const cached = this.#cache.get(hashed);
    const now = performance.now();
    if (cached === undefined || now - cached.askedAt >= KEY_MAX_AGE_MS) {
      return this.#ask(hashed);
    }
    if (now - cached.askedAt >= KEY_REFRESH_AGE_MS && !cached.refreshing) {
      cached.refreshing = true;
      // Where this fails, the answer in memory grows too old and the next request asks itself.
      this.#ask(hashed).catch(() => {});
    }
    return cached.access;
  }

  #ask(hashed: string): Promise<Access | undefined> {
    const askedAt = performance.now();
    const earlier = this.#asking.get(hashed);
    // An answer must be no older than any other that is used, however long it takes.
    if (earlier !== undefined && askedAt - earlier.askedAt < KEY_MAX_AGE_MS) return earlier.answer;
    const asked = { answer: this.#read(hashed, askedAt), askedAt };
    this.#asking.set(hashed, asked);
    const forget = () => {
      if (this.#asking.get(hashed) === asked) this.#asking.delete(hashed);
    };
    asked.answer.then(forget, forget);
    return asked.answer;
  }

  async #read(hashed: string, askedAt: number): Promise<Access | undefined> {
    const bytes = Buffer.from(hashed, 'hex');
    const key = await findKey(this.#db, bytes);
    const access = key && (await this.#access(key, bytes));
    if (this.#cache.size >= KEYS_CACHED_MAX) this.#cache.clear();
    this.#cache.set(hashed, { access, askedAt, refreshing: false });
    return access;
  }

  async #access(key: ApiKey, hashed: Buffer): Promise<Access | undefined> {
    if (!timingSafeEqual(key.hash, hashed) || key.revokedAt !== null) return undefined;
    const store = await readStore(this.#db, key.storeId);
    if (store === undefined) return undefined;
    this.#noteUse(key);
    return { keyId: key.id, store, scopes: new Set(key.scopes) };
  }

  #noteUse(key: ApiKey): void {
    const last = this.#lastUsed.get(key.id) ?? key.lastUsedAt ?? 0;
    if (Date.now() - last < LAST_USED_STEP_MS) return;
    this.#lastUsed.set(key.id, Date.now());
    // Only people look at it; a failure is no reason to refuse a request.
    touchKey(this.#db, key.id).catch(() => {});
  }
}
