import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantStatus, holdAt, settled } from '../../src/core/funds/due.js';
import type { Grant } from '../../src/core/model.js';
import { creditCommand, holdCommand, openCommand, type Terms } from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { sweepStore } from '../../src/ledger/sweep.js';
import { newId } from '../../src/store/ids.js';
import * as ended from '../../src/store/rows/ended.js';
import { GRANTS, HOLDS } from '../../src/store/rows/rows.js';
import { account } from '../core/world.js';
import { onEngine, PGLITE, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { createStore } from '../harness/store.js';

/** What has ended: SQL says it as core does, and a read tells it as it is once it is booked. */

const T0 = Date.UTC(2100, 0, 1);
const DAY = 86_400_000;
const PAGE = { limit: 20, after: undefined, before: undefined };
const seed = seedOf('what has ended');

onEngine(PGLITE, (engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine, undefined, 0);
    store = await createStore(database.engine);
  });
  afterAll(() => database.drop());

  /** At each instant: what SQL says of each row, beside what core is to say of it. */
  async function said(table: string, columns: string, texts: ((instant: string) => string)[]) {
    const conditions = texts.map((text, n) => `${text('at')} as said_${n}`).join(', ');
    const { rows } = await database.engine.reader.query(
      `select (date_part('epoch', at) * 1000)::bigint::text as at, t.*,
          (select jsonb_build_array(${texts.map((_, n) => `said_${n}`).join(', ')})
            from (select ${conditions} from tallystick.${table} as r
              where r.store_id = $1 and r.${table.slice(0, -1)}_id = t.${table.slice(0, -1)}_id
            ) as s) as said
        from (select ${columns} from tallystick.${table} where store_id = $1) as t
        cross join generate_series($2::timestamptz, $3, interval '1 millisecond') as at`,
      [store.id, new Date(T0 - 1).toISOString(), new Date(T0 + 4).toISOString()],
    );
    return rows.map((row) => {
      // A condition that is neither true nor false admits no row.
      const said = (row.said as (string | boolean | null)[]).map((one) => one ?? false);
      return { row, at: Number(row.at), said };
    });
  }

  /** Whether it is forfeited at an instant where no hold keeps of it. */
  function isForfeited(grant: Grant, at: number): boolean {
    const given = { account: account(), grants: [grant], holds: [] };
    return settled(given, at).grants[0] !== grant;
  }

  test('of grants SQL says what core says, at every boundary', async () => {
    const instant = fc.integer({ min: 0, max: 3 }).map((n) => new Date(T0 + n).toISOString());
    const row = fc.record({
      remaining: fc.constantFrom(0, 1, 5),
      kept: fc.constantFrom(0, 1, 5),
      effective: instant,
      expires: fc.option(instant),
      voided: fc.option(instant),
    });
    const made = fc.sample(row, { seed, numRuns: 300 });
    await database.engine.reader.query(
      `insert into tallystick.grants (store_id, grant_id, account_id, transaction_id, amount,
          remaining, held, priority, category, effective_at, expires_at, voided_at, created_at)
        select $1, gen_random_uuid(), $1, $1, 5, remaining, least(kept, remaining), 50, 'paid',
          effective, expires, voided, '2099-01-01'
        from jsonb_to_recordset($2) as r (remaining numeric, kept numeric, effective timestamptz,
          expires timestamptz, voided timestamptz)`,
      [store.id, JSON.stringify(made)],
    );
    const texts = [ended.grantStatus, ended.endedGrant, ended.dueGrant];
    const rows = await said('grants', GRANTS.list(), texts);
    expect(rows).toHaveLength(6 * made.length);
    for (const { row, at, said } of rows) {
      const grant = GRANTS.read(row);
      const rest = isForfeited({ ...grant, held: 0n }, at);
      // The end of a voided grant is booked with the void, and so no search looks for it.
      const due = isForfeited({ ...grant, voidedAt: null }, at);
      expect(said, `${at - T0} of ${JSON.stringify(row)}`).toEqual([
        grantStatus(grant, at),
        rest,
        due,
      ]);
    }
  });

  test('of holds SQL says what core says, at every boundary', async () => {
    await database.engine.reader.query(
      `insert into tallystick.holds (store_id, hold_id, account_id, amount, remaining, captured,
          status, reference, idempotency_key, fingerprint, pins, expires_at, created_at, updated_at)
        select $1, gen_random_uuid(), $1, 5, case status when 'open' then 5 else 0 end, 0, status,
          'r', status || n, $1, '[]', $2::timestamptz + n * interval '1 millisecond', now(), now()
        from unnest(array['open', 'captured', 'released', 'expired']) as status,
          generate_series(0, 3) as n`,
      [store.id, new Date(T0).toISOString()],
    );
    const rows = await said('holds', HOLDS.list(), [ended.holdStatus, ended.endedHold]);
    expect(rows).toHaveLength(6 * 16);
    for (const { row, at, said } of rows) {
      const hold = HOLDS.read(row);
      const told = holdAt(hold, at);
      expect(said, `${at - T0} of ${JSON.stringify(row)}`).toEqual([told.status, told !== hold]);
    }
  });

  test('a read tells the same before and after the end is booked', async () => {
    await ledger.setClock(store, T0);
    const opening = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: 5n };
    const opened = await ledger.execute(store, openCommand(opening));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    const accountId = opened.account.id;
    const fields = () => ({ accountId, reference: 'r', key: newId() });
    const credit = async (amount: bigint, terms: Terms) => {
      const outcome = await ledger.execute(store, creditCommand({ ...fields(), amount, terms }));
      expect(outcome.kind).toBe('transaction');
    };
    const hold = async (amount: bigint, days: number) => {
      const command = holdCommand({ ...fields(), amount, expiresInMs: days * DAY });
      expect((await ledger.execute(store, command)).kind).toBe('hold');
      return command.holdId;
    };
    await credit(10n, { priority: 1, expiresAt: T0 + 2 * DAY });
    const short = await hold(4n, 3);
    await hold(3n, 30);
    await credit(20n, { priority: 2, expiresAt: T0 + 3 * DAY });
    await credit(30n, { priority: 3, effectiveAt: T0 + 3 * DAY });
    await hold(8n, 4);
    const told = async () => {
      const of = (status: string) => ledger.funds.holds(store, accountId, status, PAGE);
      const lists = ['voided', 'expired', 'depleted', 'pending', 'active', undefined];
      return {
        position: (await ledger.funds.position(store, accountId)).position,
        hold: await ledger.funds.hold(store, short),
        holds: [await of('open'), await of('expired')],
        grants: await Promise.all(
          lists.map((status) => ledger.funds.grants(store, accountId, status, PAGE)),
        ),
      };
    };
    for (const at of [2 * DAY - 1, 2 * DAY, 3 * DAY - 1, 3 * DAY, 4 * DAY - 1, 4 * DAY]) {
      await ledger.setClock(store, T0 + at);
      const before = await told();
      await sweepStore(ledger, store);
      expect(await told(), `${at / DAY} days`).toEqual(before);
    }
    const { position } = await told();
    expect(position).toMatchObject({ balance: 38n, held: 3n, available: 35n, pending: 0n });
  });
});
