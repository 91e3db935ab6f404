import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { debitCommand, openCommand } from '../../src/ledger/commands.js';
import type { Store } from '../../src/ledger/index.js';
import { type Engine, ensureKey, Ledger, listStores, migrate } from '../../src/ledger/index.js';
import { openMemory } from '../harness/pglite.js';
import { verbsOf, watched } from '../harness/watched.js';

/** What webhooks cost a movement: nothing without an endpoint, and one statement with any. */

let engine: Engine;
let ledger: Ledger;
let store: Store;
let accountId: string;
const sent: string[] = [];
const read: string[] = [];
let rung = 0;

beforeAll(async () => {
  const { reader, ...rest } = await openMemory();
  const noting = {
    query: (text: string, values?: unknown[]) => {
      read.push(text);
      return reader.query(text, values);
    },
  };
  engine = watched({ ...rest, reader: noting }, sent);
  await migrate(engine);
  await ensureKey(engine.reader, 'tally_test_webhook_tests_0002', { name: 'a', scopes: ['*'] });
  store = (await listStores(engine.reader)).find(({ mode }) => mode === 'test')!;
  ledger = new Ledger(engine);
  ledger.onEvents(() => rung++);
  const account = { customerId: 'c', name: 'n', unitLabel: 'u', initialBalance: 99n };
  const opened = await ledger.execute(store, openCommand(account));
  if (opened.kind !== 'account') throw new Error('The account was refused.');
  accountId = opened.account.id;
});
afterAll(() => ledger.close());

beforeEach(async () => {
  for (const { id } of await ledger.webhooks.list(store)) await ledger.webhooks.delete(store, id);
});

let debits = 0;

/** The first words of each statement that a debit sends. */
async function debit(): Promise<string[]> {
  sent.length = 0;
  read.length = 0;
  rung = 0;
  const key = `key ${++debits}`;
  const outcome = await ledger.execute(
    store,
    debitCommand({ accountId, amount: 1n, reference: 'r', key }),
  );
  expect(outcome.kind).toBe('transaction');
  return verbsOf(sent);
}

const subscribe = (events: string[]) =>
  ledger.webhooks.create(store, {
    name: null,
    url: undefined,
    deliveryMode: 'cli',
    events,
    signature: 'creem',
  });

const PLAIN = [
  'begin isolation level',
  'select a.* from',
  expect.stringMatching(/^select /),
  'insert into tallystick.transactions',
  'insert into tallystick.entries',
  'update tallystick.accounts as',
  'commit',
];

test('without an endpoint a debit sends nothing for webhooks and wakes nobody', async () => {
  expect(await debit()).toEqual(PLAIN);
  expect([read, rung]).toEqual([[], 0]);
});

test('nor with endpoints that want other events', async () => {
  await subscribe(['credits.granted']);
  expect(await debit()).toEqual(PLAIN);
  expect([read, rung]).toEqual([[], 0]);
});

test('endpoints that want it cost one statement, however many they are', async () => {
  for (let n = 0; n < 3; n++) await subscribe([]);
  expect(await debit()).toEqual([...PLAIN.slice(0, -1), 'insert into tallystick.outbox', 'commit']);
  expect([read, rung]).toEqual([[], 1]);
});
