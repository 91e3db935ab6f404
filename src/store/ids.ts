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

const COUNT_BITS = 26;
let count = 0;

/**
 * Makes the id of an event of an instant. Ids of one instant count upwards, so that an account's
 * events sort in the order in which they happened.
 *
 * @param createdAt milliseconds since the Unix epoch.
 */
export function newEventId(createdAt: number): Uuid {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  count = (count + 1) % 2 ** COUNT_BITS;
  // These are the bits that follow the time in the v7 layout, around its version and variant.
  pool[used] = count >>> 22;
  pool[used + 1] = (count >>> 14) & 255;
  pool[used + 2] = (count >>> 8) & 63;
  pool[used + 3] = count & 255;
  const id = uuidV7(createdAt, pool, used);
  used += RANDOM_BYTES;
  return id;
}
