import type { Uuid } from '../../core/id.js';
import type { Store, StoreMode } from '../../core/model.js';
import { type Db, textArray } from '../engine/db.js';
import { epoch } from '../rows/columns.js';
import { UNFINISHED } from '../schema/migrate.js';

/** The directory of stores and of the keys that open them. */

export interface ApiKey {
  readonly id: Uuid;
  readonly storeId: Uuid;
  /** SHA-256 of the key: 32 bytes. */
  readonly hash: Uint8Array;
  /** The first characters of the key, for people to tell keys apart. */
  readonly hint: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

const SELECT_STORE = `select store_id, name, mode, issuance_id, redemption_id, breakage_id
  from tallystick.stores`;

const SELECT_KEY = `select key_id, store_id, encode(hash, 'hex') as hash, hint, name,
    array_to_string(scopes, ' ') as scopes, ${epoch('created_at')}, ${epoch('last_used_at')},
    ${epoch('revoked_at')}
  from tallystick.api_keys`;

/** Creates a store, or returns the one that has this name and mode already. */
export async function ensureStore(db: Db, wanted: Store): Promise<Store> {
  await db.query(
    `insert into tallystick.stores
        (store_id, name, mode, issuance_id, redemption_id, breakage_id)
      values ($1, $2, $3, $4, $5, $6) on conflict (name, mode) do nothing`,
    [
      wanted.id,
      wanted.name,
      wanted.mode,
      wanted.issuanceId,
      wanted.redemptionId,
      wanted.breakageId,
    ],
  );
  const sql = `${SELECT_STORE} where name = $1 and mode = $2`;
  const { rows } = await db.query(sql, [wanted.name, wanted.mode]);
  return toStore(rows[0]);
}

export async function readStore(db: Db, id: Uuid): Promise<Store | undefined> {
  const { rows } = await db.query(`${SELECT_STORE} where store_id = $1`, [id]);
  return rows[0] && toStore(rows[0]);
}

/** All but those that an import has not finished: what works by itself leaves them alone. */
export async function listStores(db: Db): Promise<Store[]> {
  const { rows } = await db.query(
    `${SELECT_STORE} where schema <> ${UNFINISHED.schema} order by store_id`,
  );
  return rows.map(toStore);
}

/** Stores a key; false where a key with this hash is there already. */
export async function insertKey(
  db: Db,
  key: Omit<ApiKey, 'createdAt' | 'lastUsedAt' | 'revokedAt'>,
): Promise<boolean> {
  const { rows } = await db.query(
    `insert into tallystick.api_keys (key_id, store_id, hash, hint, name, scopes)
      values ($1, $2, decode($3, 'hex'), $4, $5, $6::text[])
      on conflict (hash) do nothing returning 1`,
    [
      key.id,
      key.storeId,
      Buffer.from(key.hash).toString('hex'),
      key.hint,
      key.name,
      textArray(key.scopes),
    ],
  );
  return rows.length > 0;
}

export async function findKey(db: Db, hash: Uint8Array): Promise<ApiKey | undefined> {
  const sql = `${SELECT_KEY} where hash = decode($1, 'hex')`;
  const { rows } = await db.query(sql, [Buffer.from(hash).toString('hex')]);
  return rows[0] && toKey(rows[0]);
}

export async function listKeys(db: Db): Promise<ApiKey[]> {
  const { rows } = await db.query(`${SELECT_KEY} order by key_id`);
  return rows.map(toKey);
}

/** Revokes a key; false where there is no such key that was still valid. */
export async function revokeKey(db: Db, id: Uuid): Promise<boolean> {
  const { rows } = await db.query(
    `update tallystick.api_keys set revoked_at = now()
      where key_id = $1 and revoked_at is null returning 1`,
    [id],
  );
  return rows.length > 0;
}

export async function touchKey(db: Db, id: Uuid): Promise<void> {
  await db.query('update tallystick.api_keys set last_used_at = now() where key_id = $1', [id]);
}

interface StoreRow {
  store_id: Uuid;
  name: string;
  mode: StoreMode;
  issuance_id: Uuid;
  redemption_id: Uuid;
  breakage_id: Uuid;
}

function toStore(row: StoreRow): Store {
  return {
    id: row.store_id,
    name: row.name,
    mode: row.mode,
    issuanceId: row.issuance_id,
    redemptionId: row.redemption_id,
    breakageId: row.breakage_id,
  };
}

interface KeyRow {
  key_id: Uuid;
  store_id: Uuid;
  hash: string;
  hint: string;
  name: string;
  scopes: string;
  created_at: string;
  last_used_at: string | null;
  revoked_at: string | null;
}

function toKey(row: KeyRow): ApiKey {
  const instant = (text: string | null) => (text === null ? null : Number(text));
  return {
    id: row.key_id,
    storeId: row.store_id,
    hash: Buffer.from(row.hash, 'hex'),
    hint: row.hint,
    name: row.name,
    scopes: row.scopes.split(' '),
    createdAt: Number(row.created_at),
    lastUsedAt: instant(row.last_used_at),
    revokedAt: instant(row.revoked_at),
  };
}
