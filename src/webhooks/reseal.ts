import type { Uuid } from '../core/id.js';
import type { Db } from '../store/engine/db.js';
import { listStores } from '../store/read/directory.js';
import {
  readStoredSecrets,
  replaceStoredSecrets,
  type StoredSecrets,
} from '../store/webhooks/stored-secrets.js';
import { isSealed, SecretError, type SecretKeys } from './secrets.js';

/** Brings signing secrets from one form into another, and tells in which they are. */

export interface Unreadable {
  readonly endpointId: Uuid;
  readonly reason: string;
}

/** How often an endpoint is tried whose secret is changed at the same time. */
const TRIES_MAX = 20;

/**
 * Brings all secrets into the form that these keys give. It can be stopped and run again, and
 * beside servers: it goes endpoint by endpoint, and writes only over what it has read.
 *
 * @returns how many endpoints it changed, and those whose secrets it cannot read, which stay.
 */
export async function resealSecrets(
  db: Db,
  keys: SecretKeys,
): Promise<{ changed: number; unchanged: number; unreadable: Unreadable[] }> {
  const unreadable: Unreadable[] = [];
  let changed = 0;
  let unchanged = 0;
  for (const { id: storeId } of await listStores(db)) {
    for (const stored of await readStoredSecrets(db, storeId)) {
      try {
        if (await reseal(db, keys, storeId, stored)) changed++;
        else unchanged++;
      } catch (error) {
        if (!(error instanceof SecretError)) throw error;
        unreadable.push({ endpointId: stored.id, reason: error.message });
      }
    }
  }
  return { changed, unchanged, unreadable };
}

async function reseal(
  db: Db,
  keys: SecretKeys,
  storeId: Uuid,
  first: StoredSecrets,
): Promise<boolean> {
  let stored: StoredSecrets | undefined = first;
  for (let tries = 0; stored !== undefined && tries < TRIES_MAX; tries++) {
    const after = resealed(keys, storeId, stored);
    if (after.secret === stored.secret && after.previous === stored.previous) return false;
    if (await replaceStoredSecrets(db, storeId, stored, after)) return true;
    [stored] = await readStoredSecrets(db, storeId, first.id);
  }
  if (stored === undefined) return false;
  throw new SecretError('The secret changed again and again meanwhile. Run this once more.');
}

/** A previous secret that signs no more is dropped: nobody needs it in any form. */
function resealed(
  keys: SecretKeys,
  storeId: Uuid,
  { id, secret, previous, overlaps }: StoredSecrets,
) {
  const inForm = (stored: string, part: 'current' | 'previous') => {
    const place = { storeId, endpointId: id, part };
    return keys.isCurrent(stored) ? stored : keys.seal(keys.open(stored, place), place);
  };
  return {
    secret: inForm(secret, 'current'),
    previous: previous !== null && overlaps ? inForm(previous, 'previous') : null,
  };
}

/** @throws {SecretError} where a secret that signs cannot be read. */
function openStored(keys: SecretKeys, storeId: Uuid, stored: StoredSecrets): void {
  const place = { storeId, endpointId: stored.id };
  keys.open(stored.secret, { ...place, part: 'current' });
  if (stored.previous === null || !stored.overlaps) return;
  keys.open(stored.previous, { ...place, part: 'previous' });
}

/** How many endpoints' secrets are in which form. */
export interface SecretForms {
  readonly endpoints: number;
  readonly plain: number;
  /** Sealed, but not under the key that seals now. */
  readonly outdated: number;
  readonly unreadable: readonly Unreadable[];
}

export async function inspectSecrets(db: Db, keys: SecretKeys): Promise<SecretForms> {
  const unreadable: Unreadable[] = [];
  let endpoints = 0;
  let plain = 0;
  let outdated = 0;
  for (const { id: storeId } of await listStores(db)) {
    for (const stored of await readStoredSecrets(db, storeId)) {
      endpoints++;
      const all = stored.previous === null ? [stored.secret] : [stored.secret, stored.previous];
      if (all.some((each) => !isSealed(each))) plain++;
      else if (all.some((each) => !keys.isCurrent(each))) outdated++;
      try {
        openStored(keys, storeId, stored);
      } catch (error) {
        unreadable.push({ endpointId: stored.id, reason: (error as Error).message });
      }
    }
  }
  return { endpoints, plain, outdated, unreadable };
}
