import type { Uuid } from '../../core/id.js';
import type { Db } from '../engine/db.js';

/** Signing secrets as they stand in the database, for whoever changes how they stand there. */
export interface StoredSecrets {
  readonly id: Uuid;
  readonly secret: string;
  /** Also one that signs no more. */
  readonly previous: string | null;
  /** Whether the previous one still signs. */
  readonly overlaps: boolean;
}

/** @param id where it is given, of that endpoint alone. */
export async function readStoredSecrets(
  db: Db,
  storeId: Uuid,
  id: Uuid | null = null,
): Promise<StoredSecrets[]> {
  const { rows } = await db.query(
    `select endpoint_id as id, secret, previous_secret as previous,
        coalesce(previous_secret_until > now(), false) as overlaps
      from tallystick.webhook_endpoints
      where store_id = $1 and ($2::uuid is null or endpoint_id = $2) order by endpoint_id`,
    [storeId, id],
  );
  return rows;
}

/** Stores the same secrets in another form; false where they have changed meanwhile. */
export async function replaceStoredSecrets(
  db: Db,
  storeId: Uuid,
  before: StoredSecrets,
  after: Pick<StoredSecrets, 'secret' | 'previous'>,
): Promise<boolean> {
  const { rows } = await db.query(
    `update tallystick.webhook_endpoints set secret = $5, previous_secret = $6
      where store_id = $1 and endpoint_id = $2 and secret = $3
        and previous_secret is not distinct from $4::text
      returning 1`,
    [storeId, before.id, before.secret, before.previous, after.secret, after.previous],
  );
  return rows.length > 0;
}
