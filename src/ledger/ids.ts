import { randomFillSync } from 'node:crypto';
import { type Uuid, uuidV7 } from '../core/id.js';

const RANDOM_BYTES = 10;
// Asking the system for randomness costs more than using it, so it is asked for many ids at once.
const pool = new Uint8Array(RANDOM_BYTES * 512);
let used = pool.length;

/** Makes a new time-ordered id. */
export function newId(): Uuid {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const id = uuidV7(Date.now(), pool, used);
  used += RANDOM_BYTES;
  return id;
}
