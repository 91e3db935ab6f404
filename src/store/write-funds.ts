import type { Uuid } from '../core/id.js';
import type { Account, Grant, Hold } from '../core/model.js';
import { jsonColumn, plainColumn, type Statement, textColumn } from './db.js';
import { isoInstant } from './write.js';

/**
 * The only statements that write grants, drawdowns and holds. Updates have a limit for the reason
 * given at `updateBalances`.
 */

export function insertGrants(storeId: Uuid, grants: readonly Grant[]): Statement {
  return {
    text: `insert into tallystick.grants (store_id, grant_id, account_id, transaction_id, amount,
        remaining, held, priority, category, effective_at, expires_at, voided_at, announced_at,
        created_at)
      select $1, * from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[],
        $7::numeric[], $8::smallint[], $9::text[], $10::timestamptz[], $11::timestamptz[],
        $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])`,
    values: [
      storeId,
      plainColumn(grants, ({ id }) => id),
      plainColumn(grants, ({ accountId }) => accountId),
      plainColumn(grants, ({ transactionId }) => transactionId),
      plainColumn(grants, ({ amount }) => amount),
      plainColumn(grants, ({ remaining }) => remaining),
      plainColumn(grants, ({ held }) => held),
      plainColumn(grants, ({ priority }) => priority),
      plainColumn(grants, ({ category }) => category),
      plainColumn(grants, ({ effectiveAt }) => isoInstant(effectiveAt)),
      plainColumn(grants, ({ expiresAt }) => optional(expiresAt)),
      plainColumn(grants, ({ voidedAt }) => optional(voidedAt)),
      plainColumn(grants, ({ announcedAt }) => optional(announcedAt)),
      plainColumn(grants, ({ createdAt }) => isoInstant(createdAt)),
    ],
  };
}

export function updateGrants(storeId: Uuid, grants: readonly Grant[]): Statement {
  return {
    text: `update tallystick.grants as g set remaining = v.remaining, held = v.held,
        voided_at = v.voided_at, announced_at = v.announced_at
      from (
        select * from unnest($2::uuid[], $3::numeric[], $4::numeric[], $5::timestamptz[],
          $6::timestamptz[])
        limit $7
      ) as v (id, remaining, held, voided_at, announced_at)
      where g.store_id = $1 and g.grant_id = v.id`,
    values: [
      storeId,
      plainColumn(grants, ({ id }) => id),
      plainColumn(grants, ({ remaining }) => remaining),
      plainColumn(grants, ({ held }) => held),
      plainColumn(grants, ({ voidedAt }) => optional(voidedAt)),
      plainColumn(grants, ({ announcedAt }) => optional(announcedAt)),
      grants.length,
    ],
  };
}

/** Notes in which transaction the void of each grant took what was left. */
export function updateVoids(storeId: Uuid, voids: ReadonlyMap<Uuid, Uuid>): Statement {
  const pairs = [...voids];
  return {
    text: `update tallystick.grants as g set void_transaction_id = v.transaction_id
      from (
        select * from unnest($2::uuid[], $3::uuid[]) limit $4
      ) as v (id, transaction_id)
      where g.store_id = $1 and g.grant_id = v.id`,
    values: [
      storeId,
      plainColumn(pairs, ([id]) => id),
      plainColumn(pairs, ([, transactionId]) => transactionId),
      pairs.length,
    ],
  };
}

export function insertDrawdowns(
  storeId: Uuid,
  drawdowns: readonly { transactionId: Uuid; line: number; grantId: Uuid; amount: bigint }[],
): Statement {
  return {
    text: `insert into tallystick.drawdowns (store_id, transaction_id, line, grant_id, amount)
      select $1, * from unnest($2::uuid[], $3::smallint[], $4::uuid[], $5::numeric[])`,
    values: [
      storeId,
      plainColumn(drawdowns, ({ transactionId }) => transactionId),
      plainColumn(drawdowns, ({ line }) => line),
      plainColumn(drawdowns, ({ grantId }) => grantId),
      plainColumn(drawdowns, ({ amount }) => amount),
    ],
  };
}

export function insertHolds(storeId: Uuid, holds: readonly Hold[]): Statement {
  return {
    text: `insert into tallystick.holds (store_id, hold_id, account_id, amount, remaining,
        captured, status, reference, idempotency_key, fingerprint, pins, expires_at, created_at,
        updated_at)
      select $1, * from unnest($2::uuid[], $3::uuid[], $4::numeric[], $5::numeric[],
        $6::numeric[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::jsonb[],
        $12::timestamptz[], $13::timestamptz[], $14::timestamptz[])`,
    values: [
      storeId,
      plainColumn(holds, ({ id }) => id),
      plainColumn(holds, ({ accountId }) => accountId),
      plainColumn(holds, ({ amount }) => amount),
      plainColumn(holds, ({ remaining }) => remaining),
      plainColumn(holds, ({ captured }) => captured),
      plainColumn(holds, ({ status }) => status),
      textColumn(holds, ({ reference }) => reference),
      textColumn(holds, ({ key }) => key),
      plainColumn(holds, ({ fingerprint }) => fingerprint),
      jsonColumn(holds, pinsOf),
      plainColumn(holds, ({ expiresAt }) => isoInstant(expiresAt)),
      plainColumn(holds, ({ createdAt }) => isoInstant(createdAt)),
      plainColumn(holds, ({ updatedAt }) => isoInstant(updatedAt)),
    ],
  };
}

export function updateHolds(storeId: Uuid, holds: readonly Hold[]): Statement {
  return {
    text: `update tallystick.holds as h set remaining = v.remaining, captured = v.captured,
        status = v.status, pins = v.pins, expires_at = v.expires_at, updated_at = v.updated_at
      from (
        select * from unnest($2::uuid[], $3::numeric[], $4::numeric[], $5::text[], $6::jsonb[],
          $7::timestamptz[], $8::timestamptz[])
        limit $9
      ) as v (id, remaining, captured, status, pins, expires_at, updated_at)
      where h.store_id = $1 and h.hold_id = v.id`,
    values: [
      storeId,
      plainColumn(holds, ({ id }) => id),
      plainColumn(holds, ({ remaining }) => remaining),
      plainColumn(holds, ({ captured }) => captured),
      plainColumn(holds, ({ status }) => status),
      jsonColumn(holds, pinsOf),
      plainColumn(holds, ({ expiresAt }) => isoInstant(expiresAt)),
      plainColumn(holds, ({ updatedAt }) => isoInstant(updatedAt)),
      holds.length,
    ],
  };
}

function pinsOf({ pins }: Hold) {
  return pins.map(({ grantId, amount }) => [grantId, `${amount}`]);
}

/** Stores what movements, grants and holds change of their accounts. */
export function updateFunds(storeId: Uuid, accounts: readonly Account[]): Statement {
  return {
    text: `update tallystick.accounts as a set balance = v.balance, version = v.version,
        posted_at = v.posted_at, held = v.held, free_in_grants = v.free_in_grants,
        open_grants = v.open_grants, open_holds = v.open_holds, has_grants = v.has_grants
      from (
        select * from unnest($2::uuid[], $3::numeric[], $4::bigint[], $5::timestamptz[],
          $6::numeric[], $7::numeric[], $8::integer[], $9::integer[], $10::boolean[])
        limit $11
      ) as v (id, balance, version, posted_at, held, free_in_grants, open_grants, open_holds,
        has_grants)
      where a.store_id = $1 and a.account_id = v.id`,
    values: [
      storeId,
      plainColumn(accounts, ({ id }) => id),
      plainColumn(accounts, ({ balance }) => balance),
      plainColumn(accounts, ({ version }) => version),
      plainColumn(accounts, ({ postedAt }) => isoInstant(postedAt)),
      plainColumn(accounts, ({ held }) => held),
      plainColumn(accounts, ({ freeInGrants }) => freeInGrants),
      plainColumn(accounts, ({ openGrants }) => openGrants),
      plainColumn(accounts, ({ openHolds }) => openHolds),
      plainColumn(accounts, ({ hasGrants }) => String(hasGrants)),
      accounts.length,
    ],
  };
}

function optional(instant: number | null): string | null {
  return instant === null ? null : isoInstant(instant);
}
