import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { creditCommand, openCommand } from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import type { Db, Statement } from '../../src/store/engine/db.js';
import { newId } from '../../src/store/ids.js';
import * as read from '../../src/store/read/accounts.js';
import { findDueAccounts } from '../../src/store/read/clock.js';
import { listGrants, listHolds, readHold, readToCome } from '../../src/store/read/funds.js';
import { readBasis, readBasisAt } from '../../src/store/read/position.js';
import { HOLDS } from '../../src/store/rows/rows.js';
import { findNames, observe, readTransactions } from '../../src/store/write/find.js';
import { lockAccounts } from '../../src/store/write/lock.js';
import { findOwners } from '../../src/store/write/owners.js';
import { findGrants, findHolds, findPending, toGrants } from '../../src/store/write/reach.js';
import { Writes } from '../../src/store/write/write.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/**
 * What the planner makes of every statement that finds rows, in tables with 100,000 transactions.
 * A statement that reads a whole store is right on a small table, and ruins a large one.
 */

const TRANSACTIONS = 100_000;
const ACCOUNTS = 1_000;

/** Fills a store, all at once; the lines alternate over the accounts. */
async function fill(db: Db, store: Store): Promise<void> {
  await db.query(`insert into tallystick.accounts
    select '${store.id}', md5('a' || n)::uuid, 'cust_' || n, 'default', 'default', 'credits',
      'active', ${TRANSACTIONS / ACCOUNTS}, ${TRANSACTIONS / ACCOUNTS}, now(), now(), now()
    from generate_series(0, ${ACCOUNTS - 1}) as n`);
  await db.query(`insert into tallystick.transactions
    select '${store.id}', md5('t' || n)::uuid, 'credit', 'ref_' || n, 'key_' || n,
      md5('f' || n)::uuid, null, now()
    from generate_series(0, ${TRANSACTIONS - 1}) as n`);
  await db.query(`insert into tallystick.entries
    select '${store.id}', md5('t' || n)::uuid, 0, md5('a' || n % ${ACCOUNTS})::uuid, 1,
      n / ${ACCOUNTS} + 1, n / ${ACCOUNTS} + 1, now()
    from generate_series(0, ${TRANSACTIONS - 1}) as n`);
  await db.query(`insert into tallystick.entries
    select '${store.id}', md5('t' || n)::uuid, 1, '${store.issuanceId}', -1, null, null, now()
    from generate_series(0, ${TRANSACTIONS - 1}) as n`);
}

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: Node[];
}

function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.Plans ?? []) yield* walk(child);
}

const SMALL_STORES = 500;
const SMALL = 10;

/**
 * Gives the large store grants and holds, and sets hundreds of small ones beside it, so that the
 * average store is one that it would cost little to read whole.
 */
async function surround(db: Db, store: Store): Promise<void> {
  const rows = [
    `select '${store.id}'::uuid as s, md5('a' || n)::uuid as a, md5('x' || n)::uuid as x
      from generate_series(0, ${ACCOUNTS - 1}) as n`,
    `select md5('s' || n % ${SMALL_STORES})::uuid, md5('b' || n)::uuid, md5('y' || n)::uuid
      from generate_series(0, ${SMALL_STORES * SMALL - 1}) as n`,
  ].join(' union all ');
  await db.query(`insert into tallystick.stores
    select md5('s' || n)::uuid, 'small_' || n, 'test', md5('i' || n)::uuid, md5('r' || n)::uuid,
      md5('k' || n)::uuid, now()
    from generate_series(0, ${SMALL_STORES - 1}) as n`);
  await db.query(`insert into tallystick.accounts
    select s, a, 'cust_' || a, 'default', 'default', 'credits', 'active', 10, 1, now(), now(), now()
    from (${rows}) as r where s <> '${store.id}'`);
  await db.query(`insert into tallystick.transactions
    select s, x, 'credit', 'ref', 'key_' || x, x, null, now()
    from (${rows}) as r where s <> '${store.id}'`);
  await db.query(`insert into tallystick.entries
    select s, x, 0, a, 1, 1, 1, now() from (${rows}) as r where s <> '${store.id}'`);
  await db.query(`insert into tallystick.grants (store_id, grant_id, account_id, transaction_id,
      amount, remaining, priority, category, effective_at, created_at)
    select s, x, a, x, 10, 10, 50, 'paid', now(), now() from (${rows}) as r`);
  await db.query(`insert into tallystick.holds (store_id, hold_id, account_id, amount, remaining,
      captured, status, reference, idempotency_key, fingerprint, pins, expires_at, created_at,
      updated_at)
    select s, x, a, 1, 1, 0, 'open', 'ref', 'key_' || x, x, '[]', now(), now(), now()
    from (${rows}) as r`);
}

const TABLES = ['accounts', 'transactions', 'entries', 'grants', 'holds'];

/** Fails where a table is read in any way but through an index by the store and one column more. */
function expectNarrow(plan: Node, label: string): void {
  const scans = [...walk(plan)].filter((node) => /Scan/.test(node['Node Type']));
  const text = `${label}: ${JSON.stringify(plan, null, 1)}`;
  let narrow = 0;
  for (const scan of scans) {
    const table = scan['Relation Name'];
    if (table !== undefined && TABLES.includes(table)) {
      expect(scan['Node Type'], text).not.toBe('Seq Scan');
    }
    const condition = scan['Index Cond'];
    // What is empty here tells nothing: any plan of it is a good one.
    if (condition === undefined || (table !== undefined && !TABLES.includes(table))) continue;
    expect(condition, text).toMatch(/store_id = .* AND /);
    narrow++;
  }
  expect(narrow, text).toBeGreaterThan(0);
}

/** The statements that a read sends, with their values. */
async function statementsOf(db: Db, act: (db: Db) => Promise<unknown>): Promise<Statement[]> {
  const sent: Statement[] = [];
  await act({
    query(text, values) {
      sent.push(values === undefined ? { text } : { text, values });
      return db.query(text, values);
    },
  });
  return sent;
}

const uuidOf = async (db: Db, text: string): Promise<string> =>
  (await db.query(`select md5('${text}')::uuid as id`)).rows[0].id;

onEngine(POSTGRES, (engine) => {
  describe('at size', () => {
    let database: TestDatabase;
    let store: Store;
    let account: string;
    let transaction: string;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
      store = await createStore(database.engine);
      await database.engine.onSession((lane) => fill(lane, store));
      await database.engine.onSession((lane) => lane.query('analyze'));
      account = await uuidOf(database.engine.reader, 'a7');
      transaction = await uuidOf(database.engine.reader, 't7');
    });
    afterAll(() => database.drop());

    const changing = (rows: Readonly<Record<string, readonly object[]>>) => {
      const all = new Writes();
      for (const [kind, items] of Object.entries(rows)) all.add(kind as 'funds', items as never[]);
      return Object.entries(all.statements(store.id)) as [string, Statement][];
    };

    const writes = async (): Promise<[string, Statement][]> => {
      const { reader } = database.engine;
      const row = (await read.readAccount(reader, store.id, account))!;
      const [found] = await statementsOf(reader, (db) =>
        readTransactions(db, store.id, [transaction]),
      );
      return [
        ['lockAccounts', lockAccounts(store.id, [account, newId()])],
        ['observe', observe(store.id, ['key_1', 'key_2', 'other'])],
        ['findNames', findNames(store.id, [{ customerId: 'cust_1', name: 'default' }])],
        ...changing({ balances: [row], statuses: [row] }),
        ['readTransactions', found!],
      ];
    };

    const fundWrites = async (): Promise<[string, Statement][]> => {
      const { reader } = database.engine;
      const row = (await read.readAccount(reader, store.id, account))!;
      const x = await uuidOf(reader, 'x7');
      const now = Date.now();
      const reach = { accountId: account, taken: 1n, at: now, until: now, announceUntil: now + 1 };
      const named = { grantIds: [x], holdIds: [x], holdKeys: ['key_1'], transactionIds: [x] };
      const bounds = { walked: 64, due: 1_000 };
      const ofGrants = findGrants(store.id, [reach], named, bounds);
      const found = toGrants(await reader.query(ofGrants.text, ofGrants.values));
      const grants = [...found.grants.values()];
      const ofHolds = findHolds(store.id, [reach], named, bounds);
      const holds = (await reader.query(ofHolds.text, ofHolds.values)).rows.map((row) =>
        HOLDS.read(row),
      );
      return [
        ['findGrants', ofGrants],
        ['findHolds', ofHolds],
        ['findPending', findPending(store.id, [{ accountId: account, after: 0, until: now }])],
        ['findOwners', findOwners(store.id, [x], [x])],
        ...changing({ funds: [row], grants, holds }),
      ];
    };

    const expectWholeKeys = async (statements: readonly [string, Statement][]) => {
      for (const [name, { text, values }] of statements) {
        const literals = values!.map((value) => `'${String(value).replaceAll("'", "''")}'`);
        const plan = await database.engine.onLane(async (lane) => {
          // A generic plan is what a prepared statement on a lane soon has.
          await lane.query('set plan_cache_mode = force_generic_plan');
          await lane.query(`prepare probe as ${text}`);
          const explained = await lane.query(
            `explain (format json) execute probe(${literals.join(', ')})`,
          );
          await lane.query('deallocate probe');
          await lane.query('reset plan_cache_mode');
          return explained.rows[0]['QUERY PLAN'][0].Plan as Node;
        });
        expectNarrow(plan, name);
      }
    };

    test('the write path finds by whole keys, whatever the values are', async () => {
      await expectWholeKeys(await writes());
    });

    test('so do pages and single reads', async () => {
      const { reader } = database.engine;
      const page = { limit: 10, after: undefined, before: undefined };
      const reads: [string, (db: Db) => Promise<unknown>][] = [
        ['readAccount', (db) => read.readAccount(db, store.id, account)],
        ['listEntries', (db) => read.listEntries(db, store.id, account, {}, page)],
        [
          'listEntries after',
          (db) => read.listEntries(db, store.id, account, {}, { ...page, after: 50 }),
        ],
        [
          'listEntries before',
          (db) => read.listEntries(db, store.id, account, {}, { ...page, before: 50 }),
        ],
        [
          'listEntries of a span',
          (db) => read.listEntries(db, store.id, account, { from: 1e12, to: 2e12 }, page),
        ],
        [
          'listEntries of a span before',
          (db) => read.listEntries(db, store.id, account, { from: 1e12 }, { ...page, before: 50 }),
        ],
        [
          'findSeq',
          (db) => read.findSeq(db, store.id, account, { transactionId: transaction, line: 0 }),
        ],
        ['readTransaction', (db) => read.readTransaction(db, store.id, transaction)],
        ['listByReference', (db) => read.listByReference(db, store.id, 'ref_7', page)],
        [
          'listAccounts of one',
          (db) => read.listAccounts(db, store.id, { customerId: 'cust_7' }, page),
        ],
        [
          'listAccounts after',
          (db) => read.listAccounts(db, store.id, {}, { ...page, after: account }),
        ],
      ];
      for (const [name, act] of reads) {
        for (const { text, values } of await statementsOf(reader, act)) {
          const { rows } = await reader.query(`explain (format json) ${text}`, values);
          expectNarrow(rows[0]['QUERY PLAN'][0].Plan, name);
        }
      }
    });

    test('a page needs no sorting', async () => {
      const { reader } = database.engine;
      const page = { limit: 10, after: undefined, before: undefined };
      const [sent] = await statementsOf(reader, (db) => {
        return read.listEntries(db, store.id, account, {}, page);
      });
      const { rows } = await reader.query(`explain (format json) ${sent!.text}`, sent!.values);
      const kinds = [...walk(rows[0]['QUERY PLAN'][0].Plan)].map((node) => node['Node Type']);
      expect(kinds).not.toContain('Sort');
      expect(kinds).not.toContain('Incremental Sort');
    });

    test('so does the write path where most stores are small', async () => {
      await database.engine.onSession((lane) => surround(lane, store));
      await database.engine.onSession((lane) => lane.query('analyze'));
      await expectWholeKeys([...(await writes()), ...(await fundWrites())]);
    });

    test('so it does with no setting of ours, as on the machines that Citus asks', async () => {
      // A reader has the planner as it comes, and plans with the values, as workers of Citus do.
      for (const [name, { text, values }] of [...(await writes()), ...(await fundWrites())]) {
        const sql = `explain (format json) ${text}`;
        const { rows } = await database.engine.reader.query(sql, values);
        expectNarrow(rows[0]['QUERY PLAN'][0].Plan, name);
      }
    });

    test('reads of grants and holds find by whole keys where most stores are small', async () => {
      const { reader } = database.engine;
      const x = await uuidOf(reader, 'x7');
      const page = { limit: 10, after: undefined, before: undefined };
      const of = (status: string | undefined) => ({ accountId: account, status });
      const span = { from: 1e12, to: 2e12 };
      const reads: [string, (db: Db) => Promise<unknown>][] = [
        ['readBasis', (db) => readBasis(db, store.id, account)],
        ['readBasisAt', (db) => readBasisAt(db, store.id, account, Date.now() - 1e6)],
        ['readToCome', (db) => readToCome(db, store.id, account, span)],
        ['readHold', (db) => readHold(db, store.id, x)],
        ...[undefined, 'active', 'pending', 'expired'].map(
          (status): [string, (db: Db) => Promise<unknown>] => [
            `listGrants ${status}`,
            (db) => listGrants(db, store.id, of(status), page),
          ],
        ),
        ...[undefined, 'open', 'expired'].map((status): [string, (db: Db) => Promise<unknown>] => [
          `listHolds ${status}`,
          (db) => listHolds(db, store.id, of(status), page),
        ]),
      ];
      for (const [name, act] of reads) {
        for (const { text, values } of await statementsOf(reader, act)) {
          const { rows } = await reader.query(`explain (format json) ${text}`, values);
          expectNarrow(rows[0]['QUERY PLAN'][0].Plan, name);
        }
      }
    });

    test('of an account with very many grants, a balance reads those that count', async () => {
      const { reader } = database.engine;
      const many = 5_000;
      const rich = await uuidOf(reader, 'a9');
      await reader.query(`insert into tallystick.grants (store_id, grant_id, account_id,
          transaction_id, amount, remaining, priority, category, effective_at, expires_at,
          created_at)
        select '${store.id}', md5('m' || n)::uuid, '${rich}', md5('t' || n)::uuid, 10, 10, 50,
          'paid', now(), now() + interval '1 day' + n * interval '1 second', now()
        from generate_series(1, ${many}) as n`);
      await reader.query('analyze tallystick.grants');
      const reads: [string, (db: Db) => Promise<unknown>][] = [
        ['readBasis', (db) => readBasis(db, store.id, rich)],
        ['readBasisAt', (db) => readBasisAt(db, store.id, rich, Date.now())],
      ];
      for (const [name, act] of reads) {
        const [sent] = await statementsOf(reader, act);
        const explain = `explain (analyze, format json) ${sent!.text}`;
        const { rows } = await reader.query(explain, sent!.values);
        const nodes = [...walk(rows[0]['QUERY PLAN'][0].Plan)];
        const indexes = nodes.map((node) => node['Index Name']);
        expect(indexes).toEqual(expect.arrayContaining(['grants_ending', 'grants_to_come']));
        const read = nodes
          .filter((node) => node['Relation Name'] === 'grants')
          .reduce((sum, node) => sum + node['Actual Rows']! * node['Actual Loops']!, 0);
        expect(read, name).toBeLessThan(50);
      }
    });

    test('a span of long ago is found without the entries since', async () => {
      const { reader } = database.engine;
      const page = { limit: 10, after: undefined, before: undefined };
      const long = await uuidOf(reader, 'a11');
      await reader.query(`insert into tallystick.transactions
        select '${store.id}', md5('l' || n)::uuid, 'credit', 'ref', 'long_' || n, md5('f')::uuid,
          null, now() + n * interval '1 minute'
        from generate_series(1, 20000) as n`);
      await reader.query(`insert into tallystick.entries
        select '${store.id}', md5('l' || n)::uuid, 0, '${long}', 1, n + 1000, 1,
          now() + n * interval '1 minute'
        from generate_series(1, 20000) as n`);
      await reader.query(`update tallystick.accounts set version = 21000,
          posted_at = now() + interval '20000 minutes' where account_id = '${long}'`);
      await reader.query(`insert into tallystick.entries
        select '${store.id}', md5('g' || n)::uuid, 0, '${long}', 1, n, 1, now()
        from generate_series(101, 1000) as n`);
      await reader.query('analyze');
      const from = Date.now() + 3_600_000;
      const [sent] = await statementsOf(reader, (db) =>
        read.listEntries(db, store.id, long, { from, to: from + 3_600_000 }, page),
      );
      const explain = `explain (analyze, format json) ${sent!.text}`;
      const { rows } = await reader.query(explain, sent!.values);
      const seen = [...walk(rows[0]['QUERY PLAN'][0].Plan)]
        .filter((node) => node['Relation Name'] === 'entries')
        .reduce((sum, node) => {
          const removed = node['Rows Removed by Filter'] ?? 0;
          return sum + (node['Actual Rows']! + removed) * node['Actual Loops']!;
        }, 0);
      expect(seen).toBeGreaterThan(10);
      expect(seen).toBeLessThan(200);
    });

    test('the sweep reads what is due', async () => {
      const { reader } = database.engine;
      for (const table of ['grants', 'holds']) {
        await reader.query(`update tallystick.${table} set expires_at = now() + interval '1 day'`);
        await reader.query(`analyze tallystick.${table}`);
      }
      const due = { now: Date.now(), announceUntil: Date.now() + 1_000, limit: 10 };
      const [sent] = await statementsOf(reader, (db) => findDueAccounts(db, store.id, due));
      const { rows } = await reader.query(`explain (format json) ${sent!.text}`, sent!.values);
      const plan = rows[0]['QUERY PLAN'][0].Plan as Node;
      expectNarrow(plan, 'findDueAccounts');
      const indexes = [...walk(plan)].map((node) => node['Index Name']);
      expect(indexes).toEqual(expect.arrayContaining(['grants_due', 'holds_due']));
    });
  });

  describe('a lane that was connected while the tables were empty', () => {
    let database: TestDatabase;
    let ledger: Ledger;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
      ledger = new Ledger(database.engine);
    });
    afterAll(() => database.drop());

    /** How many rows of the ledger's tables have been read so far, by any means. */
    const rowsRead = async (): Promise<number> => {
      await database.engine.onLane((lane) => lane.query('select pg_stat_force_next_flush()'));
      const { rows } = await database.engine.reader.query(
        `select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::text as read
          from pg_stat_user_tables where schemaname = 'tallystick' and relname = any($1::text[])`,
        [`{${TABLES.join(',')}}`],
      );
      return Number(rows[0].read);
    };

    test('forgets the plans that it made then', async () => {
      const store = await createStore(database.engine);
      const opened = await ledger.execute(
        store,
        openCommand({
          customerId: 'c',
          name: 'n',
          unitLabel: 'u',
          initialBalance: 1n,
        }),
      );
      if (opened.kind !== 'account') throw new Error('It must open.');
      const accountId = opened.account.id;
      const batch = async (n: number) => {
        const movement = { accountId, amount: 1n, reference: 'r', key: `batch ${n}` };
        const outcome = await ledger.execute(store, creditCommand(movement));
        expect(outcome).toMatchObject({ kind: 'transaction', replayed: false });
      };
      // Enough uses for every statement to have a generic plan.
      for (let n = 0; n < 20; n++) await batch(n);
      await database.engine.onSession((lane) => fill(lane, store));
      // The next time at which a lane forgets is no further off than it has been used already.
      for (let n = 20; n < 60; n++) await batch(n);
      const before = await rowsRead();
      for (let n = 60; n < 80; n++) await batch(n);
      const each = ((await rowsRead()) - before) / 20;
      expect(each).toBeLessThan(20);
    });
  });
});
