import { firstIdAt, type Uuid } from '../../core/id.js';
import type { Db } from '../../store/engine/db.js';
import { listStores } from '../../store/read/directory.js';
import {
  findOrphans,
  type Remove,
  removeDeliveries,
  removeSettled,
  removeUnattempted,
} from '../../store/webhooks/deliveries.js';
import { listEndpoints } from '../../store/webhooks/endpoints.js';

/** How many rows one statement removes, so that none of them takes long. */
const BATCH = 1_000;
/** For how long a `cli` endpoint's events wait to be acknowledged (contract Q26). */
const PENDING_MS_MAX = 24 * 60 * 60 * 1000;

const LAST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * Removes what is older than the retention, and what deleted endpoints left behind, store by
 * store and in batches.
 *
 * @param retention in milliseconds.
 */
export async function sweepDeliveries(
  db: Db,
  retention: number,
  isStopped: () => boolean,
): Promise<void> {
  const now = Date.now();
  for (const store of await listStores(db)) {
    for (const { id, deliveryMode, status } of await listEndpoints(db, store.id)) {
      const pending = deliveryMode === 'cli' ? Math.min(retention, PENDING_MS_MAX) : retention;
      // While it is disabled nobody attempts what is due, which would wait for ever.
      const removeOld = status === 'disabled' ? removeDeliveries : removeSettled;
      await remove(removeOld, firstIdAt(now - retention), id);
      await remove(removeUnattempted, firstIdAt(now - pending), id);
    }
    for (const id of await findOrphans(db, store.id)) {
      await remove(removeUnattempted, LAST, id);
      await remove(removeDeliveries, LAST, id);
    }

    async function remove(statement: Remove, before: Uuid, id: Uuid) {
      while (!isStopped()) {
        if ((await statement(db, store.id, id, before, BATCH)) < BATCH) return;
      }
    }
  }
}
