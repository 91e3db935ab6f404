import type { Basis, Ending, Keeping } from '../core/funds.js';
import type { Uuid } from '../core/id.js';
import { CLOCK_MIN } from '../core/model.js';
import { epochOf as ms } from './columns.js';
import type { Db } from './db.js';
import { MOMENT } from './find.js';
import { halving, placeIn } from './read.js';
import { ACCOUNTS } from './rows.js';
import type { Selected } from './table.js';

/**
 * What `positionOf` says what an account has from. Each is one statement, and so one snapshot:
 * what is added up must be of one state, for between two statements anything can be booked. What
 * an account does not need to be judged by is not read, however many grants there are.
 */

const OWN = 'store_id = $1 and account_id = $2';

/** Of the two ends that a grant can have the sooner, as the index by ends has it. */
const END = 'least(expires_at, voided_at)';
const TO_COME = 'effective_at > created_at and effective_at >';

// An account whose clock was set back lives on at its newest entry, as for every command.
const PRESENT = `${MOMENT},
    present as materialized (
      select greatest(moment.instant, posted_at) as instant from moment, tallystick.accounts
      where ${OWN})`;

/** Of each grant a line; as rows they would cost the driver more than all else. */
const linesOf = (grants: string) => `(
    select string_agg(concat_ws(' ', grant_id, remaining, ${ms('effective_at')},
      coalesce(${ms('expires_at')}, '-'), coalesce(${ms('voided_at')}, '-')), ',')
    from (${grants}) as g) as grants`;

const holdLines = (condition: string) => `(
    select string_agg(concat_ws(' ', remaining, ${ms('expires_at')}, pins), E'\\n')
    from tallystick.holds where ${OWN} and status = 'open' ${condition}) as holds`;

const ACCOUNT = `(select to_jsonb(a) from (${ACCOUNTS.select} where ${OWN}) as a) as account`;
const GRANT = 'grant_id, remaining, effective_at, expires_at, voided_at from tallystick.grants';

const endedBy = (instant: string) =>
  `select ${GRANT} where ${OWN} and open and ${END} <= ${instant}`;

const NOW = '(select instant from present)';
const NEXT_END = `select ${END} from tallystick.grants where ${OWN} and open and ${END} > ${NOW}
      order by ${END} limit 1`;

const POSITION = `with ${PRESENT}
  select ${ACCOUNT}, ${holdLines('')}, ${ms(NOW)} as now, ${linesOf(`${endedBy(NOW)}
    union all select ${GRANT} where ${OWN} and open and ${TO_COME} ${NOW}
    union all select ${GRANT} where ${OWN} and open and ${END} = (${NEXT_END})`)}`;

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

// What was left of a grant while it was still to come is what had been taken back by then. An
// ended one needs no such care: what no hold keeps of it is the same until it is booked.
const LEFT = `amount - (
      select coalesce(sum(d.amount), 0) from tallystick.drawdowns as d
      join tallystick.transactions as t
        on t.store_id = $1 and t.transaction_id = d.transaction_id
      where d.store_id = $1 and d.grant_id = grants.grant_id and t.created_at <= $3)`;

// Holds that were made since kept nothing then. A clock that was set back has holds of the future.
const THEN = `and (created_at <= $3 or $3 >= ${NOW})`;

const POSITION_AT = `with recursive ${PRESENT},
    ${halving('found', (time) => `${time} <= $3::timestamptz`)}
  select ${ACCOUNT}, ${holdLines(THEN)}, (
      select balance_after::text from tallystick.entries
      where ${OWN} and seq = ${placeIn('found')} limit 1) as posted,
    ${linesOf(`${endedBy('$3')}
    union all select grant_id, ${LEFT} as remaining, effective_at, expires_at, voided_at
      from tallystick.grants where ${OWN} and ${TO_COME} $3 and created_at <= $3`)}`;

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
  const grants = row.grants === null ? [] : row.grants.split(',').map(toEnding);
  return {
    account: ACCOUNTS.read(account),
    // One that is still to come can also be the one that ends next, or have been voided.
    grants: [...new Map(grants.map((grant) => [grant.id, grant])).values()],
    holds: row.holds === null ? [] : row.holds.split('\n').map(toKeeping),
  };
}

function toEnding(line: string): Ending {
  const [id, remaining, effectiveAt, expiresAt, voidedAt] = line.split(' ') as [
    Uuid,
    string,
    string,
    string,
    string,
  ];
  return {
    id,
    remaining: BigInt(remaining),
    effectiveAt: Number(effectiveAt),
    expiresAt: expiresAt === '-' ? null : Number(expiresAt),
    voidedAt: voidedAt === '-' ? null : Number(voidedAt),
  };
}

/** The pins are JSON and come last, for there are spaces in them. */
function toKeeping(line: string): Keeping {
  const first = line.indexOf(' ');
  const second = line.indexOf(' ', first + 1);
  const pins = JSON.parse(line.slice(second + 1)) as [Uuid | null, string][];
  return {
    status: 'open',
    remaining: BigInt(line.slice(0, first)),
    expiresAt: Number(line.slice(first + 1, second)),
    pins: pins.map(([grantId, amount]) => ({ grantId, amount: BigInt(amount) })),
  };
}
