import type { Funds, Keeping, Lot } from '../../core/funds/funds.js';
import type { Uuid } from '../../core/id.js';
import { CLOCK_MIN } from '../../core/model.js';
import type { Db } from '../engine/db.js';
import { epochOf as ms } from '../rows/columns.js';
import { endedGrant, endedHold, GRANT_END } from '../rows/ended.js';
import { ACCOUNTS } from '../rows/rows.js';
import type { Selected } from '../rows/table.js';
import { MOMENT } from '../write/find.js';
import { halving, placeIn } from './accounts.js';

/**
 * What `positionOf` says what an account has from: the account, what has ended and is yet to be
 * booked, and what is to come. Each is one statement, and so one snapshot: what is added up must
 * be of one state, for between two statements anything can be booked. What an account does not
 * need to be judged by is not read, however many grants and holds there are.
 */

/** As much of an account's funds as its position follows from. */
export type Basis = Funds<Lot, Keeping>;

const OWN = 'store_id = $1 and account_id = $2';

const TO_COME = 'effective_at > created_at and effective_at >';

// An account whose clock was set back lives on at its newest entry, as for every command.
const PRESENT = `${MOMENT},
    present as materialized (
      select greatest(moment.instant, posted_at) as instant from moment, tallystick.accounts
      where ${OWN})`;

/** Of each grant a line; as rows they would cost the driver more than all else. */
const linesOf = (grants: string) => `(
    select string_agg(concat_ws(' ', grant_id, remaining, held, ${ms('effective_at')},
      coalesce(${ms('expires_at')}, '-'), coalesce(${ms('voided_at')}, '-')), ',')
    from (${grants}) as g) as grants`;

/** The holds that have ended: what those that have not keep is counted in account and grants. */
export const holdsEndedBy = (instant: string) => `(
    select string_agg(concat_ws(' ', hold_id, remaining, ${ms('expires_at')}, pins), E'\\n')
    from tallystick.holds where ${OWN} and ${endedHold(instant)})`;

const ACCOUNT = `(select to_jsonb(a) from (${ACCOUNTS.select} where ${OWN}) as a) as account`;
const TERMS = 'effective_at, expires_at, voided_at from tallystick.grants';
const GRANT = `grant_id, remaining, held, ${TERMS}`;

const endedBy = (instant: string) => `select ${GRANT} where ${OWN} and ${endedGrant(instant)}`;

const NOW = '(select instant from present)';
const NEXT_END = `select ${GRANT_END} from tallystick.grants
      where ${OWN} and open and ${GRANT_END} > ${NOW} order by ${GRANT_END} limit 1`;

const POSITION = `with ${PRESENT}
  select ${ACCOUNT}, ${holdsEndedBy(NOW)} as holds, ${ms(NOW)} as now, ${linesOf(`${endedBy(NOW)}
    union all select ${GRANT} where ${OWN} and open and ${TO_COME} ${NOW}
    union all select ${GRANT} where ${OWN} and open and ${GRANT_END} = (${NEXT_END})`)}`;

/** Reads what an account's position of now follows from, and the instant that now is. */
export async function readBasis(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
): Promise<(Basis & { now: number }) | undefined> {
  const { rows } = await db.query(POSITION, [storeId, accountId]);
  const row = rows[0] as BasisRow & { now: string };
  if (row.account === null) return undefined;
  return { ...toBasis(row, row.account), now: Number(row.now) };
}

// What was left of a grant while it was still to come is what had been taken back by then; nobody
// holds of it before, unless a clock was set back, and then what is held now is. An ended one needs
// no such care: what no hold keeps of it is the same until it is booked.
const LEFT = `amount - (
      select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
      join tallystick.transactions as t
        on t.store_id = $1 and t.transaction_id = d.transaction_id
      where d.store_id = $1 and d.grant_id = grants.grant_id and t.created_at <= $3)`;

const HELD = `case when $3 >= ${NOW} then held else 0 end`;

const POSITION_AT = `with recursive ${PRESENT},
    ${halving('found', (time) => `${time} <= $3::timestamptz`)}
  select ${ACCOUNT}, ${holdsEndedBy('$3')} as holds, (
      select balance_after::text from tallystick.entries
      where ${OWN} and seq = ${placeIn('found')} limit 1) as posted,
    ${linesOf(`${endedBy('$3')}
    union all select grant_id, ${LEFT} as remaining, ${HELD} as held, ${TERMS}
      where ${OWN} and ${TO_COME} $3 and created_at <= $3`)}`;

/**
 * Reads what an account's position at an instant follows from: the posted balance is the one after
 * the last entry with `created_at <= at`, and zero before the first.
 *
 * @param at in milliseconds since the Unix epoch.
 */
export async function readBasisAt(
  db: Db,
  storeId: Uuid,
  accountId: Uuid,
  at: number,
): Promise<Basis | undefined> {
  // The wire's earliest instants are too early for the database to read, and for any account.
  const instant = new Date(Math.max(at, CLOCK_MIN - 1)).toISOString();
  const { rows } = await db.query(POSITION_AT, [storeId, accountId, instant]);
  const row = rows[0] as BasisRow & { posted: string | null };
  if (row.account === null) return undefined;
  const { account, ...rest } = toBasis(row, row.account);
  return { ...rest, account: { ...account, balance: BigInt(row.posted ?? 0) } };
}

interface BasisRow {
  account: Selected | null;
  grants: string | null;
  holds: string | null;
}

function toBasis(row: BasisRow, account: Selected) {
  const grants = row.grants === null ? [] : row.grants.split(',').map(toLot);
  return {
    account: ACCOUNTS.read(account),
    // One that is still to come can also be the one that ends next, or have been voided.
    grants: [...new Map(grants.map((grant) => [grant.id, grant])).values()],
    holds: toKeepings(row.holds),
  };
}

function toLot(line: string): Lot {
  const [id, remaining, held, effectiveAt, expiresAt, voidedAt] = line.split(' ') as [
    Uuid,
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    id,
    remaining: BigInt(remaining),
    held: BigInt(held),
    effectiveAt: Number(effectiveAt),
    expiresAt: expiresAt === '-' ? null : Number(expiresAt),
    voidedAt: voidedAt === '-' ? null : Number(voidedAt),
  };
}

/** @param lines what `holdsEndedBy` has read. */
export function toKeepings(lines: string | null): Keeping[] {
  return lines === null ? [] : lines.split('\n').map(toKeeping);
}

/** The pins are JSON and come last, for there are spaces in them. */
function toKeeping(line: string): Keeping {
  const [, id, remaining, expiresAt, pins] = /^(\S+) (\S+) (\S+) (.*)$/.exec(line)!;
  return {
    id: id!,
    status: 'open',
    remaining: BigInt(remaining!),
    expiresAt: Number(expiresAt),
    pins: (JSON.parse(pins!) as [Uuid | null, string][]).map(([grantId, amount]) => {
      return { grantId, amount: BigInt(amount) };
    }),
  };
}
