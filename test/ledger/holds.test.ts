import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  releaseCommand,
} from '../../src/ledger/commands.js';
import { ensureKey, generateKey, KeyRing, Ledger, type Store } from '../../src/ledger/index.js';
import type { Outcome } from '../../src/ledger/write/outcome.js';
import { newId } from '../../src/store/ids.js';
import { onEngine, onEngines, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { expectSound } from '../harness/verify.js';

/** Holds that race: on one ledger, and on two that share a database. */

onEngines((engine) => {
  describe('one ledger', () => races(() => engine.create(), 1));
});
onEngine(POSTGRES, (engine) => {
  describe('two ledgers on one database', () => races(() => engine.create(), 2));
});

const times = <T>(count: number, make: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));
const codes = (outcomes: readonly Outcome[]) =>
  outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.refusal.code : outcome.kind));
const count = (outcomes: readonly Outcome[], code: string) =>
  codes(outcomes).filter((one) => one === code).length;

function races(create: () => Promise<TestDatabase>, ledgerCount: number): void {
  let database: TestDatabase;
  let store: Store;
  const ledgers: Ledger[] = [];

  beforeAll(async () => {
    database = await create();
    ledgers.push(new Ledger(database.engine));
    while (ledgers.length < ledgerCount) ledgers.push(new Ledger(await database.another()));
    const { reader } = database.engine;
    const key = generateKey('test');
    await ensureKey(reader, key, { store: 'races', name: 'test', scopes: ['*'] });
    store = (await new KeyRing(reader).authenticate(key))!.store;
  });
  afterAll(async () => {
    await expectSound(database.engine.reader);
    await database.drop();
  });

  /** The ledgers take turns, so that every race is between them. */
  const ledger = (index = 0) => ledgers[index % ledgers.length]!;

  async function open(initialBalance: bigint): Promise<string> {
    const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance };
    const outcome = await ledger().execute(store, openCommand(fields));
    if (outcome.kind !== 'account') throw new Error(outcome.kind);
    return outcome.account.id;
  }

  const hold = (n: number, accountId: string, amount: bigint, expiresInMs = 600_000) => {
    const fields = { accountId, amount, expiresInMs, reference: 'job', key: newId() };
    return ledger(n).execute(store, holdCommand(fields));
  };
  const capture = (n: number, holdId: string, key = newId()) => {
    const fields = { holdId, amount: undefined, overage: 'refuse', final: true, key } as const;
    return ledger(n).execute(store, captureCommand(fields));
  };
  const release = (n: number, holdId: string) => ledger(n).execute(store, releaseCommand(holdId));
  const settle = (n: number, accountId: string) =>
    ledger(n).execute(store, { kind: 'settle', accountId, aheadMs: 0 });
  const debit = (n: number, accountId: string, amount: bigint) =>
    ledger(n).execute(store, debitCommand({ accountId, amount, reference: 'r', key: newId() }));

  async function holdId(accountId: string, amount: bigint): Promise<string> {
    const outcome = await hold(0, accountId, amount);
    if (outcome.kind !== 'hold') throw new Error(outcome.kind);
    return outcome.hold.id;
  }

  async function position(accountId: string) {
    const { position: at } = await ledger().funds.position(store, accountId);
    return { balance: at.balance, held: at.held, available: at.available };
  }

  test('100 holds of 1 against 50: 50 succeed', async () => {
    const id = await open(50n);
    const outcomes = await times(100, (n) => hold(n, id, 1n));
    expect(count(outcomes, 'hold')).toBe(50);
    expect(count(outcomes, 'insufficient_balance')).toBe(50);
    expect(await position(id)).toEqual({ balance: 50n, held: 50n, available: 0n });
  });

  test('50 with one key: one hold and 49 replays of it', async () => {
    const id = await open(50n);
    const fields = {
      accountId: id,
      amount: 2n,
      expiresInMs: 600_000,
      reference: 'r',
      key: newId(),
    };
    const outcomes = await times(50, (n) => ledger(n).execute(store, holdCommand(fields)));
    const ids = new Set(outcomes.map((one) => (one.kind === 'hold' ? one.hold.id : one.kind)));
    expect(ids.size).toBe(1);
    expect(outcomes.filter((one) => one.kind === 'hold' && !one.replayed)).toHaveLength(1);
    expect(await position(id)).toEqual({ balance: 50n, held: 2n, available: 48n });
  });

  test('one key on two accounts, which no common lock orders: one hold', async () => {
    const accounts = await times(10, () => open(5n));
    const key = newId();
    const outcomes = await times(10, (n) => {
      const fields = { accountId: accounts[n]!, amount: 1n, expiresInMs: 600_000 };
      return ledger(n).execute(store, holdCommand({ ...fields, reference: 'r', key }));
    });
    expect(count(outcomes, 'hold')).toBe(1);
    expect(count(outcomes, 'idempotency_key_mismatch')).toBe(9);
  });

  test('holds and debits mixed never overspend', async () => {
    const id = await open(0n);
    const terms = { expiresAt: Date.now() + 3_600_000, category: 'promotional' as const };
    const credit = { accountId: id, reference: 'r', amount: 30n };
    await ledger().execute(store, creditCommand({ ...credit, key: newId(), terms }));
    await ledger().execute(store, creditCommand({ ...credit, key: newId() }));
    const outcomes = await times(120, (n) => (n % 3 === 0 ? debit(n, id, 1n) : hold(n, id, 1n)));
    const debits = count(outcomes, 'transaction');
    const holds = count(outcomes, 'hold');
    expect(debits + holds).toBe(60);
    expect(count(outcomes, 'insufficient_balance')).toBe(60);
    const held = BigInt(holds);
    expect(await position(id)).toEqual({ balance: held, held, available: 0n });
  });

  test('captures racing each other: one is posted', async () => {
    const id = await open(50n);
    const of = await holdId(id, 10n);
    const outcomes = await times(30, (n) => capture(n, of));
    expect(count(outcomes, 'transaction')).toBe(1);
    expect(count(outcomes, 'hold_not_open')).toBe(29);
    expect(await position(id)).toEqual({ balance: 40n, held: 0n, available: 40n });
  });

  test('captures with one key: one is posted, and the rest are replays of it', async () => {
    const id = await open(50n);
    const of = await holdId(id, 10n);
    const key = newId();
    const outcomes = await times(30, (n) => capture(n, of, key));
    expect(count(outcomes, 'transaction')).toBe(30);
    expect(outcomes.filter((one) => one.kind === 'transaction' && !one.replayed)).toHaveLength(1);
    expect(await position(id)).toEqual({ balance: 40n, held: 0n, available: 40n });
  });

  test('captures racing releases settle exactly once', async () => {
    const id = await open(50n);
    const holds = await times(10, () => holdId(id, 2n));
    let captured = 0;
    await Promise.all(
      holds.map(async (of, n) => {
        const calls = [capture(n, of), release(n + 1, of), capture(n + 1, of), release(n, of)];
        if (n % 2 === 0) calls.reverse();
        const outcomes = await Promise.all(calls);
        const posted = count(outcomes, 'transaction');
        expect(posted).toBeLessThanOrEqual(1);
        const released = outcomes.filter((one) => one.kind === 'hold' && !one.replayed).length;
        expect(posted + released).toBe(1);
        captured += posted;
      }),
    );
    const left = 50n - 2n * BigInt(captured);
    expect(await position(id)).toEqual({ balance: left, held: 0n, available: left });
  });

  test('captures racing the expiry and its settling are billed exactly once', async () => {
    const accounts = await times(10, () => open(10n));
    const held = await times(10, async (n) => {
      const outcome = await hold(n, accounts[n]!, 4n, 40 + n * 5);
      return outcome.kind === 'hold' ? outcome.hold.id : '';
    });
    await new Promise((done) => setTimeout(done, 40));
    await times(10, async (n) => {
      const id = accounts[n]!;
      const outcomes = await Promise.all([
        settle(n, id),
        capture(n + 1, held[n]!),
        settle(n + 1, id),
        capture(n, held[n]!),
      ]);
      expect(count(outcomes, 'transaction')).toBe(1);
      expect(count(outcomes, 'hold_not_open')).toBe(1);
      expect(await position(id)).toEqual({ balance: 6n, held: 0n, available: 6n });
    });
  });

  test('settling at once from everywhere expires a grant once', async () => {
    const id = await open(5n);
    const terms = { expiresAt: Date.now() + 1_000 };
    const credit = { accountId: id, amount: 7n, reference: 'r', key: newId(), terms };
    expect(codes([await ledger().execute(store, creditCommand(credit))])).toEqual(['transaction']);
    await new Promise((done) => setTimeout(done, 1_020));
    expect(await position(id)).toEqual({ balance: 5n, held: 0n, available: 5n });
    await times(20, (n) => (n % 2 === 0 ? settle(n, id) : debit(n, id, 6n)));
    const page = { limit: 10, after: undefined, before: undefined };
    const { items } = await ledger().entries(store, id, page);
    expect(items.map(({ amount }) => amount)).toEqual([-7n, 7n, 5n]);
  });
}
