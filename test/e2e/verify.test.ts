import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  openCommand,
  postCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import {
  type Engine,
  ensureKey,
  generateKey,
  Ledger,
  listStores,
  migrate,
  type Outcome,
  openPostgres,
  type Store,
  verifyLedger,
} from '../../src/ledger/index.js';
import { damaged } from '../harness/damage.js';
import { openMemory } from '../harness/pglite.js';
import { Cluster, POSTGRES_BINARIES } from './harness.js';

/**
 * Each thing that `verify` proves is broken on purpose in a small ledger, and must be reported.
 * The damage is done in a transaction in which `verify` runs too, and which is then undone.
 */

/** The subject is the account of `a`, whose newest transaction is a reversal. */
const A = "(select account_id from tallystick.accounts where name = 'a')";
const NEWEST = '(select max(transaction_id::text)::uuid from tallystick.transactions)';
const SEED = "(select transaction_id from tallystick.transactions where reference = 'first')";

const DAMAGE: readonly (readonly [kind: string, ...sql: string[]])[] = [
  [
    'transaction_not_balanced',
    `update tallystick.entries set amount = amount + 1 where transaction_id = ${SEED} and line = 1`,
  ],
  [
    'transaction_with_one_line',
    `delete from tallystick.entries where transaction_id = ${SEED} and line = 1`,
  ],
  [
    'line_missing',
    `update tallystick.entries set line = 7 where transaction_id = ${SEED} and line = 1`,
  ],
  ['transaction_without_entries', `delete from tallystick.entries where transaction_id = ${SEED}`],
  [
    'entries_without_transaction',
    `delete from tallystick.transactions where transaction_id = ${SEED}`,
  ],
  [
    'entry_time_differs',
    `update tallystick.entries set created_at = '2001-01-01' where transaction_id = ${SEED} and line = 1`,
  ],
  [
    'entry_misplaced',
    `update tallystick.entries set account_id = ${A} where transaction_id = ${SEED} and line = 1`,
  ],
  [
    'reversal_not_linked',
    `update tallystick.transactions set reversal_of = null where transaction_id = ${NEWEST}`,
  ],
  [
    'seq_not_continued',
    `update tallystick.entries set seq = seq + 1 where account_id = ${A} and seq = (select version from tallystick.accounts where name = 'a')`,
  ],
  [
    'balance_after_not_continued',
    `update tallystick.entries set balance_after = balance_after + 1 where account_id = ${A} and seq = 2`,
  ],
  [
    'balance_negative',
    'alter table tallystick.entries drop constraint entries_balance_after_check',
    `update tallystick.entries set balance_after = -1 where account_id = ${A} and seq = 2`,
  ],
  [
    'time_runs_backwards',
    `update tallystick.entries set created_at = '2001-01-01' where account_id = ${A} and seq = 2`,
  ],
  ['entries_without_account', `delete from tallystick.accounts where name = 'a'`],
  [
    'stored_balance_differs',
    `update tallystick.accounts set balance = balance + 1 where name = 'a'`,
  ],
  [
    'stored_version_differs',
    `update tallystick.accounts set version = version + 1 where name = 'a'`,
  ],
  [
    'stored_time_differs',
    `update tallystick.accounts set posted_at = '2001-01-01' where name = 'a'`,
  ],
  [
    'reversal_without_original',
    `update tallystick.transactions set reversal_of = gen_random_uuid() where transaction_id = ${NEWEST}`,
  ],
  [
    'reversal_of_reversal',
    `update tallystick.transactions set operation = 'reverse' where transaction_id = (select reversal_of from tallystick.transactions where transaction_id = ${NEWEST})`,
  ],
  [
    'reversal_not_mirrored',
    `update tallystick.entries set amount = amount * 2 where transaction_id = ${NEWEST}`,
  ],
  [
    'reversal_reference_differs',
    `update tallystick.transactions set reference = 'other' where transaction_id = ${NEWEST}`,
  ],
  [
    'reversed_twice',
    'drop index tallystick.transactions_reversal_of',
    `update tallystick.transactions set reversal_of = (select reversal_of from tallystick.transactions where transaction_id = ${NEWEST}) where transaction_id = ${SEED}`,
  ],
  [
    'key_used_twice',
    'alter table tallystick.transactions drop constraint transactions_store_id_idempotency_key_key',
    `update tallystick.transactions set idempotency_key = 'key 1' where transaction_id = ${NEWEST}`,
  ],
  [
    'name_used_twice',
    'alter table tallystick.accounts drop constraint accounts_store_id_customer_id_name_key_key',
    `update tallystick.accounts set name_key = 'a'`,
  ],
  [
    'rows_without_store',
    `update tallystick.entries set store_id = gen_random_uuid() where transaction_id = ${SEED}`,
  ],
];

function accountOf(outcome: Outcome) {
  if (outcome.kind !== 'account') throw new Error(JSON.stringify(outcome));
  return outcome.account;
}

function transactionOf(outcome: Outcome) {
  if (outcome.kind !== 'transaction') throw new Error(outcome.kind);
  return outcome.transaction;
}

async function fill(ledger: Ledger, store: Store): Promise<void> {
  const open = async (name: string) => {
    const fields = { customerId: 'c', name, unitLabel: 'u', initialBalance: 0n };
    return accountOf(await ledger.execute(store, openCommand(fields))).id;
  };
  const a = await open('a');
  const b = await open('b');
  await open('empty');
  await ledger.execute(
    store,
    creditCommand({ accountId: a, amount: 100n, reference: 'first', key: 'key 1' }),
  );
  await ledger.execute(
    store,
    debitCommand({ accountId: a, amount: 30n, reference: 'second', key: 'key 2' }),
  );
  const postings = [
    { accountId: a, amount: -20n },
    { accountId: b, amount: 20n },
  ];
  const post = await ledger.execute(
    store,
    postCommand({ postings, reference: 'third', key: 'key 3' }),
  );
  await ledger.execute(store, reverseCommand(transactionOf(post).id));
}

const engines: [string, () => Promise<Engine>][] = [['PGlite', () => openMemory()]];
let cluster: Cluster | undefined;
if (POSTGRES_BINARIES !== undefined) {
  engines.push([
    'PostgreSQL',
    async () => {
      cluster = await Cluster.start();
      return openPostgres({ url: await cluster.database() });
    },
  ]);
}

describe.each(engines)('verify on %s', (_name, openEngine) => {
  let engine: Engine;
  let ledger: Ledger;

  beforeAll(async () => {
    engine = await openEngine();
    ledger = new Ledger(engine);
    await migrate(engine);
    await ensureKey(engine.reader, generateKey('test'), { name: 'k', scopes: ['*'] });
    const [store] = await listStores(engine.reader);
    await fill(ledger, store!);
  });

  afterAll(async () => {
    await ledger.close();
    await cluster?.stop();
  });

  test('finds a sound ledger clean, and counts it', async () => {
    const seen: number[] = [];
    const report = await verifyLedger(engine, { onProgress: ({ done }) => seen.push(done) });
    expect(report).toMatchObject({ clean: true, differences: [], stores: 1, accounts: 3 });
    expect(report).toMatchObject({ transactions: 4, entries: 8 });
    expect(seen).toEqual([...seen].sort((x, y) => x - y));
  });

  test.each(DAMAGE)('reports %s', async (kind, ...sql) => {
    const report = await verifyLedger(damaged(engine, sql));
    expect(report.clean).toBe(false);
    const difference = report.differences.find((found) => found.kind === kind);
    expect(difference, JSON.stringify(report.differences)).toBeDefined();
    expect(difference).toMatchObject({ storeId: expect.stringMatching(/^sto_\w{22}$/) });
    if (kind !== 'rows_without_store') {
      const id = difference!.transactionId ?? difference!.accountId;
      expect(id).toMatch(/^cc[at]_\w{22}$/);
    }
  });

  test('finds the ledger clean again once the damage is undone', async () => {
    expect((await verifyLedger(engine)).differences).toEqual([]);
  });
});
