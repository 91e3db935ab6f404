import type { Uuid } from '../../core/id.js';
import type { Db } from '../engine/db.js';
import { type Endpoint, returningEndpoint, toEndpoint } from './endpoints.js';

/** The leases under which a server delivers to endpoints. */

/** The endpoints that have something to deliver now and that no server holds. */
export async function findWork(db: Db): Promise<{ storeId: Uuid; id: Uuid }[]> {
  const { rows } = await db.query(
    `select e.store_id, e.endpoint_id from tallystick.webhook_endpoints e
      where e.status = 'enabled' and e.delivery_mode = 'http'
        and (e.lease_until is null or e.lease_until < now())
        and (exists (select 1 from tallystick.outbox o
            where o.store_id = e.store_id and o.endpoint_id = e.endpoint_id)
          or exists (select 1 from tallystick.deliveries d
            where d.store_id = e.store_id and d.endpoint_id = e.endpoint_id
              and d.due_at <= now()))`,
  );
  return rows.map((row) => ({ storeId: row.store_id, id: row.endpoint_id }));
}

/** Takes or renews a lease for some milliseconds from now on. */
export type GetLease = (
  db: Db,
  storeId: Uuid,
  id: Uuid,
  owner: Uuid,
  milliseconds: number,
) => Promise<Endpoint | undefined>;

/**
 * Takes the lease of an endpoint. Of two servers one waits for the other's row here, and then the
 * condition is checked again on what that one wrote.
 *
 * @returns undefined where another server holds it, or it is not to be delivered to.
 */
export const takeLease: GetLease = leaser(
  "lease_owner = $3 or status = 'enabled' and (lease_until is null or lease_until < now())",
);

/**
 * Renews a lease. Whoever holds it keeps it while the endpoint is disabled, to settle what was in
 * flight. One that was free meanwhile is not taken: others may have delivered what is known here.
 *
 * @returns undefined where it is lost.
 */
export const renewLease: GetLease = leaser('lease_owner = $3');

function leaser(condition: string): GetLease {
  const text = returningEndpoint(`update tallystick.webhook_endpoints set lease_owner = $3,
      lease_until = now() + $4::float8 * interval '1 millisecond'
    where store_id = $1 and endpoint_id = $2 and delivery_mode = 'http' and (${condition})`);
  return async (db, storeId, id, owner, milliseconds) => {
    const { rows } = await db.query(text, [storeId, id, owner, milliseconds]);
    return rows[0] && toEndpoint(rows[0]);
  };
}

export async function giveLease(db: Db, storeId: Uuid, id: Uuid, owner: Uuid): Promise<void> {
  await db.query(
    `update tallystick.webhook_endpoints set lease_owner = null, lease_until = null
      where store_id = $1 and endpoint_id = $2 and lease_owner = $3`,
    [storeId, id, owner],
  );
}
