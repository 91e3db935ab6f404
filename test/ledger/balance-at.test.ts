import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  reverseCommand,
  type Terms,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { sweepStore } from '../../src/ledger/sweep.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** The balance at an instant, where grants end, begin, are held and are taken back. */

const T0 = Date.UTC(2100, 0, 1);
const DAY = 86_400_000;

onEngines((engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let store: Store;
  let accountId: string;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine);
    store = await createStore(database.engine);
  });
  afterAll(() => database.drop());

  beforeEach(async () => {
    await ledger.setClock(store, T0);
    const fields = { customerId: newId(), name: 'a', unitLabel: 'u', initialBalance: 0n };
    const opened = await ledger.execute(store, openCommand(fields));
    if (opened.kind !== 'account') throw new Error(opened.kind);
    accountId = opened.account.id;
  });

  const credit = async (amount: bigint, terms?: Terms) => {
    const movement = { accountId, amount, reference: 'r', key: newId(), terms };
    const outcome = await ledger.execute(store, creditCommand(movement));
    if (outcome.kind !== 'transaction') throw new Error(outcome.kind);
    return outcome.transaction.id;
  };
  const balanceAt = (at: number) => ledger.balanceAt(store, accountId, at);

  test('what a hold keeps of an expired grant counts until the hold ends', async () => {
    await credit(20n, { expiresAt: T0 + DAY });
    const fields = { accountId, amount: 12n, reference: 'r', key: newId() };
    const held = await ledger.execute(store, holdCommand({ ...fields, expiresInMs: 3 * DAY }));
    expect(held.kind).toBe('hold');
    await ledger.setClock(store, T0 + 4 * DAY);
    const all = () => Promise.all([0, 1, 2, 3].map((day) => balanceAt(T0 + day * DAY)));
    // Nothing is booked yet of what has fallen due, and the answers are those of afterwards.
    const before = await all();
    expect(before).toEqual([20n, 12n, 12n, 0n]);
    await sweepStore(ledger, store);
    expect(await all()).toEqual(before);
  });

  test('a grant to come that was taken back is not taken off again', async () => {
    await credit(5n);
    const id = await credit(20n, { effectiveAt: T0 + 5 * DAY });
    await ledger.setClock(store, T0 + DAY);
    expect((await ledger.execute(store, reverseCommand(id))).kind).toBe('transaction');
    expect(await balanceAt(T0)).toBe(5n);
    expect(await balanceAt(T0 + DAY)).toBe(5n);
  });

  test('a hold of today keeps nothing of what was still to come then', async () => {
    await credit(5n);
    await credit(20n, { effectiveAt: T0 + 2 * DAY });
    await ledger.setClock(store, T0 + 3 * DAY);
    const fields = { accountId, amount: 12n, reference: 'r', key: newId() };
    const held = await ledger.execute(store, holdCommand({ ...fields, expiresInMs: DAY }));
    expect(held.kind).toBe('hold');
    expect(await balanceAt(T0 + DAY)).toBe(5n);
    expect(await balanceAt(T0 + 2 * DAY)).toBe(25n);
    expect(await balanceAt(T0 + 3 * DAY)).toBe(25n);
  });

  test('what was made since takes nothing away from before', async () => {
    await credit(5n);
    await ledger.setClock(store, T0 + DAY);
    await credit(20n, { effectiveAt: T0 + 3 * DAY });
    expect(await balanceAt(T0)).toBe(5n);
    expect(await balanceAt(T0 + DAY)).toBe(5n);
  });

  test('what will end and begin until then is taken into account', async () => {
    await credit(5n);
    await credit(20n, { effectiveAt: T0 + 2 * DAY });
    await credit(7n, { expiresAt: T0 + 3 * DAY });
    const days = [0, 1, 2, 3].map((day) => balanceAt(T0 + day * DAY));
    expect(await Promise.all(days)).toEqual([12n, 12n, 32n, 25n]);
  });

  test('the next to end is the nearest that has something left, all of it', async () => {
    await credit(3n, { expiresAt: T0 + DAY });
    for (const amount of [4n, 5n]) await credit(amount, { expiresAt: T0 + 2 * DAY });
    await credit(6n, { effectiveAt: T0 + DAY, expiresAt: T0 + 2 * DAY });
    await credit(8n, { expiresAt: T0 + 3 * DAY });
    const next = async () => (await ledger.funds.position(store, accountId)).position.expiringNext;
    expect(await next()).toEqual({ amount: 3n, at: T0 + DAY });
    const debit = { accountId, amount: 3n, reference: 'r', key: newId() };
    expect((await ledger.execute(store, debitCommand(debit))).kind).toBe('transaction');
    expect(await next()).toEqual({ amount: 15n, at: T0 + 2 * DAY });
    await ledger.setClock(store, T0 + 2 * DAY);
    expect(await next()).toEqual({ amount: 8n, at: T0 + 3 * DAY });
  });

  test('a clock that was set back leaves what has begun, and what has ended', async () => {
    await credit(20n, { effectiveAt: T0 + DAY });
    await credit(7n, { expiresAt: T0 + DAY });
    await ledger.setClock(store, T0 + 2 * DAY);
    await credit(1n);
    await ledger.setClock(store, T0);
    const { position } = await ledger.funds.position(store, accountId);
    expect(position).toMatchObject({ balance: 21n, pending: 0n });
  });
});
