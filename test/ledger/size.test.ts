import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  postCommand,
  releaseCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { findDueAccounts } from '../../src/store/read/clock.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/**
 * An account with thousands of grants, and a hold on each that has ended. What a command reads of
 * it is counted in rows, which are the same however busy the machine is.
 */

const GRANTS = 5_000;
/** What a command may read beside what it draws from: its accounts, keys, and a page of grants. */
const FEW = 500;

interface Kind {
  readonly ends: string;
  readonly begins: string;
  /** How many rows a command may read. */
  readonly rows: number;
}

const YESTERDAY = `now() - interval '1 day'`;
const NEXT_YEAR = `now() + interval '1 year' + n * interval '1 second'`;
const ENDED = `date_trunc('milliseconds', now()) - n * interval '1 second'`;

const KINDS: Record<string, Kind> = {
  'open grants': { ends: NEXT_YEAR, begins: YESTERDAY, rows: FEW },
  'pending grants': { ends: NEXT_YEAR, begins: `now() + interval '9 days'`, rows: GRANTS + FEW },
  'ended grants of which holds keep all': { ends: ENDED, begins: YESTERDAY, rows: FEW },
  'all of these': {
    ends: `case n % 3 when 0 then ${ENDED} else ${NEXT_YEAR} end`,
    begins: `case n % 3 when 1 then now() + interval '9 days' else ${YESTERDAY} end`,
    rows: GRANTS / 3 + FEW,
  },
};

onEngine(POSTGRES, (engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;

  beforeAll(async () => {
    database = await engine.create({ lanes: 1 });
    ledger = new Ledger(database.engine);
    store = await createStore(database.engine);
  });
  afterAll(() => database.drop());

  async function open(): Promise<string> {
    const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: 1_000n };
    const opened = await ledger.execute(store, openCommand(fields));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    return opened.account.id;
  }

  /** Grants of 10, used before the pool, each one that has ended wholly kept by a hold. */
  async function fill(accountId: string, { ends, begins }: Kind): Promise<void> {
    const of = [store.id, accountId];
    const { reader } = database.engine;
    await reader.query(
      `insert into tallystick.grants (store_id, grant_id, account_id, transaction_id, amount,
          remaining, held, priority, category, effective_at, expires_at, created_at)
        select $1, md5($2 || n)::uuid, $2::uuid, md5($2 || n)::uuid, 10, 10,
          case when ${ends} < now() then 10 else 0 end, 10, 'paid', ${begins}, ${ends},
          now() - interval '2 days' from generate_series(1, ${GRANTS}) as n`,
      of,
    );
    await reader.query(
      `insert into tallystick.holds (store_id, hold_id, account_id, amount, remaining, captured,
          status, reference, idempotency_key, fingerprint, pins, expires_at, created_at, updated_at)
        select $1, grant_id, $2, 10, 10, 0, 'open', 'r', 'hold ' || grant_id, grant_id,
          jsonb_build_array(jsonb_build_array(grant_id, '10')), now() + interval '9 hours', now(),
          now() from tallystick.grants where store_id = $1 and account_id = $2 and held > 0`,
      of,
    );
    await reader.query(
      `update tallystick.accounts as a set balance = balance + 10 * ${GRANTS}, held = own.held,
          free_in_grants = 10 * ${GRANTS} - own.held, open_grants = ${GRANTS},
          open_holds = own.held / 10, has_grants = true
        from (select sum(held) as held from tallystick.grants
          where store_id = $1 and account_id = $2) as own
        where a.store_id = $1 and a.account_id = $2`,
      of,
    );
    await reader.query('analyze');
  }

  /** How many rows were read on the lane meanwhile, by any means. */
  async function rowsOf(work: () => Promise<unknown>): Promise<number> {
    const total = async () => {
      // Each connection counts for itself, and tells when it is asked to.
      const flush = 'select pg_stat_force_next_flush()';
      await database.engine.onLane((lane) => lane.query(flush));
      await database.engine.reader.query(flush);
      const { rows } = await database.engine.reader.query(
        `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::text as read
          from pg_stat_user_tables where schemaname = 'tallystick'`,
      );
      return Number(rows[0].read);
    };
    const before = await total();
    await work();
    return (await total()) - before;
  }

  describe.each(Object.entries(KINDS))(`an account with ${GRANTS} %s`, (_, kind) => {
    let accountId: string;
    const fields = () => ({ accountId, amount: 3n, reference: 'r', key: newId() });
    const carryOut = async (command: Command) => {
      const outcome = await ledger.execute(store, command);
      if (outcome.kind === 'refused') throw new Error(outcome.refusal.message);
      return outcome;
    };

    beforeAll(async () => {
      accountId = await open();
      await fill(accountId, kind);
      // What a lane planned while the tables were small is forgotten.
      for (let n = 0; n < 40; n++) await carryOut(debitCommand(fields()));
    });

    test('is found by no search for what is due', async () => {
      const due = { now: Date.now(), announceUntil: Date.now(), limit: 10 };
      const search = () =>
        database.engine.onLane(async (lane) => {
          expect(await findDueAccounts(lane, store.id, due)).toEqual([]);
        });
      expect(await rowsOf(search)).toBeLessThan(10);
    });

    test('is debited, credited and the rest by reading little', async () => {
      const debited = await carryOut(debitCommand(fields()));
      const held = await carryOut(holdCommand({ ...fields(), expiresInMs: 60_000 }));
      if (debited.kind !== 'transaction' || held.kind !== 'hold') throw new Error('refused');
      const holdId = held.hold.id;
      const rest = { amount: 1n, overage: 'refuse', final: false } as const;
      const other = await open();
      const commands: Record<string, Command> = {
        debit: debitCommand(fields()),
        credit: creditCommand({ ...fields(), terms: { priority: 1 } }),
        hold: holdCommand({ ...fields(), expiresInMs: 60_000 }),
        capture: captureCommand({ holdId, ...rest, key: newId() }),
        release: releaseCommand(holdId),
        reverse: reverseCommand(debited.transaction.id),
        post: postCommand({
          reference: 'r',
          key: newId(),
          postings: [
            { accountId, amount: -3n },
            { accountId: other, amount: 3n },
          ],
        }),
      };
      for (const [name, command] of Object.entries(commands)) {
        expect(await rowsOf(() => carryOut(command)), name).toBeLessThan(kind.rows);
      }
      const refused = async () => {
        const outcome = await ledger.execute(
          store,
          debitCommand({ ...fields(), amount: 10n ** 9n }),
        );
        expect(outcome.kind).toBe('refused');
      };
      expect(await rowsOf(refused), 'a debit of too much').toBeLessThan(kind.rows);
    });
  });
});
