import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommand } from '../../src/ledger/commands.js';
import {
  ensureKey,
  generateKey,
  KeyRing,
  Ledger,
  type Store,
  verifyLedger,
} from '../../src/ledger/index.js';
import { sweepStore } from '../../src/ledger/sweep.js';
import type { Outcome } from '../../src/ledger/write/outcome.js';
import { readGrant, readVoids } from '../../src/store/read/funds.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { WAIT_MS_MAX } from '../harness/until.js';
import { expectSound } from '../harness/verify.js';
import { groups, resolve } from './funds-arbitrary.js';
import { commandOf } from './funds-commands.js';
import { FundsModel, REAL, type Step } from './funds-model.js';
import { apply } from './funds-steps.js';

/** Grants, holds and clock moves against the model: the same outcomes, balances and histories. */

const TICK = 3_600_000;
const BASE = Date.UTC(2100, 0, 1);
const tickOf = (instant: number) => (instant < BASE ? REAL : (instant - BASE) / TICK);
const ACCEPTED = new Set([
  'clock',
  'transaction',
  'replayed',
  'hold',
  'grant',
  'settled',
  'account',
]);
const PAGE = { limit: 1_000, after: undefined, before: undefined };

/** One store of the real ledger, spoken to in the model's numbers and ticks. */
class Real {
  readonly accounts: string[] = [];
  readonly transactions: string[] = [];
  readonly holds: string[] = [];
  constructor(
    readonly ledger: Ledger,
    readonly store: Store,
  ) {}

  async setClock(tick: number): Promise<void> {
    const clock = tick === REAL ? null : new Date(BASE + tick * TICK).toISOString();
    const sql = 'update tallystick.stores set clock = $2 where store_id = $1';
    await this.ledger.engine.reader.query(sql, [this.store.id, clock]);
  }

  async open(): Promise<void> {
    const name = `account ${this.accounts.length}`;
    const fields = { customerId: 'c', name, unitLabel: 'u', initialBalance: 0n };
    const outcome = await this.ledger.execute(this.store, openCommand(fields));
    if (outcome.kind === 'account') this.accounts.push(outcome.account.id);
  }

  verdict(outcome: Outcome): string {
    if (outcome.kind === 'refused') return outcome.refusal.code;
    if (outcome.kind === 'transaction' || outcome.kind === 'hold') {
      return outcome.replayed ? 'replayed' : outcome.kind;
    }
    return outcome.kind;
  }

  learn(outcome: Outcome, step: Step): void {
    if (outcome.kind === 'transaction' && !outcome.replayed) {
      this.transactions.push(outcome.transaction.id);
    }
    if (outcome.kind === 'hold' && step.kind === 'hold' && !outcome.replayed) {
      this.holds.push(outcome.hold.id);
    }
  }
}

async function play(model: FundsModel, real: Real, { steps, atomic }: Group): Promise<FundsModel> {
  const [first] = steps;
  if (first?.kind === 'clock') {
    await real.setClock(first.to);
    apply(model, first);
    return model;
  }
  const sent = steps
    .filter(({ kind }) => kind !== 'clock')
    .map((step) => resolve(step, model))
    .filter((step) => step !== undefined)
    .map((step) => commandOf(step, real, model, (tick) => BASE + tick * TICK, TICK));
  const before = model.copy();
  const verdicts: string[] = [];
  for (const { step } of sent) {
    verdicts.push(apply(model, step));
    if (atomic && !ACCEPTED.has(verdicts.at(-1)!)) break;
  }
  const refused = atomic && verdicts.some((verdict) => !ACCEPTED.has(verdict));
  const expected = refused
    ? verdicts.map((verdict) => (ACCEPTED.has(verdict) ? 'undone' : verdict))
    : verdicts;
  const commands = sent.map(({ command }) => command);
  const outcomes =
    commands.length === 0 ? [] : await real.ledger.executeAll(real.store, commands, atomic);
  const text = JSON.stringify(
    sent.map(({ step }) => step),
    (_, value) => (typeof value === 'bigint' ? `${value}` : value),
  );
  expect(
    outcomes.map((outcome) => real.verdict(outcome)),
    text,
  ).toEqual(expected);
  if (refused) return before;
  for (const [index, outcome] of outcomes.entries()) real.learn(outcome, sent[index]!.step);
  return model;
}

type Group = { steps: Step[]; atomic: boolean };

async function expectSamePositions(model: FundsModel, real: Real): Promise<void> {
  for (const [index, id] of real.accounts.entries()) {
    const { position } = await real.ledger.funds.position(real.store, id);
    const { balance, held, available, pending } = position;
    expect({ balance, held, available, pending }).toEqual(model.position(index));
    const now = model.now(index);
    if (now === REAL) continue;
    // Of the present, both reads say the same, whatever the clock has done.
    expect(await real.ledger.balanceAt(real.store, id, BASE + now * TICK)).toBe(balance);
  }
}

/** What every account's balance was said to be at each instant, by account and instant. */
type Seen = Map<string, Map<number, bigint>>;

async function note(seen: Seen, model: FundsModel, { ledger, store, accounts }: Real) {
  for (const id of accounts) {
    const { position } = await ledger.funds.position(store, id);
    const own = seen.get(id) ?? new Map<number, bigint>();
    seen.set(id, own.set(BASE + model.clock * TICK, position.balance));
  }
}

/** The past is what it was said to be: at each instant, and after each line that ends one. */
async function expectSamePast(seen: Seen, { ledger, store }: Real): Promise<void> {
  for (const [id, own] of seen) {
    const then = await Promise.all(
      [...own.keys()].map(async (at) => [at, await ledger.balanceAt(store, id, at)] as const),
    );
    expect(new Map(then)).toEqual(own);
    const { items } = await ledger.entries(store, id, PAGE);
    const pending = await ledger.funds.pendingAfter(store, id, items);
    for (const [index, { balanceAfter, createdAt }] of items.entries()) {
      if (items[index - 1]?.createdAt === createdAt) continue;
      const shown = balanceAfter - pending[index]!;
      expect(shown).toBe(await ledger.balanceAt(store, id, createdAt));
    }
  }
}

/** The same steps under a clock that only runs forward. */
function forward({ steps, atomic }: Group, clock: number): Group {
  const moved = steps.map((step) =>
    step.kind === 'clock' ? { ...step, to: clock + 1 + (Math.abs(step.to) % 6) } : step,
  );
  return { steps: moved, atomic };
}

async function expectSameHistories(model: FundsModel, real: Real): Promise<void> {
  const { ledger, store } = real;
  for (const [index, id] of real.accounts.entries()) {
    const { items } = await ledger.entries(store, id, PAGE);
    const history = items.map(({ amount, createdAt }) => [amount, tickOf(createdAt)]).reverse();
    // A hold that was made in real time may end there, at an instant that has no number.
    const expected = model.accounts[index]!.history.map(([amount, tick]) => [
      amount,
      tick < 0 ? REAL : tick,
    ]);
    expect(history).toEqual(expected);
  }
  await expectSameTold(model, real);
  const voids = await readVoids(
    ledger.engine.reader,
    store.id,
    model.lots.map(({ id }) => id),
  );
  for (const { id, left, took } of model.lots) {
    expect(voids.get(id)?.amount ?? 0n).toBe(took);
    expect((await readGrant(ledger.engine.reader, store.id, id))!.remaining).toBe(left);
  }
}

/** Webhook events tell of each movement what the model would say right after it. */
async function expectSameTold(model: FundsModel, { ledger, store, accounts }: Real): Promise<void> {
  const { rows } = await ledger.engine.reader.query(
    `select account_id, body from tallystick.outbox
      where store_id = $1 and type like 'credits.%' order by account_id, seq`,
    [store.id],
  );
  for (const [index, id] of accounts.entries()) {
    const told = rows
      .filter(({ account_id }) => account_id === id)
      .map(({ body }) => JSON.parse(body).object)
      .map((object) => ({
        balance: BigInt(object.balance_after_minor_units),
        available: BigInt(object.available_after_minor_units),
      }));
    // What a line was not told with is a gap.
    expect(told).toEqual(model.accounts[index]!.told.filter(() => true));
  }
}

/** Has all movements told; of announcements there are none here. */
async function subscribe({ ledger, store }: Real): Promise<void> {
  const names = ['granted', 'consumed', 'reversed', 'expired', 'voided'];
  const events = names.map((name) => `credits.${name}`);
  const url = undefined;
  await ledger.webhooks.create(store, {
    name: null,
    url,
    deliveryMode: 'cli',
    events,
    signature: 'creem',
  });
}

onEngines((engine) => {
  let database: TestDatabase;
  let ledger: Ledger;
  let stores = 0;

  beforeAll(async () => {
    database = await engine.create();
    ledger = new Ledger(database.engine);
  });
  afterAll(() => database.drop());

  async function createReal(): Promise<Real> {
    const { reader } = database.engine;
    const apiKey = generateKey('test');
    await ensureKey(reader, apiKey, { store: `run ${stores++}`, name: 'test', scopes: ['*'] });
    return new Real(ledger, (await new KeyRing(reader).authenticate(apiKey))!.store);
  }

  const createBoth = async () => {
    const model = new FundsModel();
    const real = await createReal();
    await subscribe(real);
    for (const tick of [REAL, 0, 0]) {
      model.clock = tick;
      await real.setClock(tick);
      await real.open();
      model.open();
    }
    return { model, real };
  };

  test('grants, holds and time are as in the model', async () => {
    const seed = seedOf(`funds property test on ${engine.name}`);
    await fc.assert(
      fc.asyncProperty(groups, async (sent) => {
        const both = await createBoth();
        const { real } = both;
        let { model } = both;
        for (const group of sent) {
          model = await play(model, real, group);
          await expectSamePositions(model, real);
        }
        await expectSameHistories(model, real);
      }),
      {
        seed,
        numRuns: 120,
        interruptAfterTimeLimit: WAIT_MS_MAX * 4,
        markInterruptAsFailure: false,
      },
    );
    await expectSound(database.engine.reader);
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
  });
  test('the past stays what it was', async () => {
    const seed = seedOf(`balances of the past on ${engine.name}`);
    await fc.assert(
      fc.asyncProperty(groups, async (sent) => {
        const both = await createBoth();
        const { real } = both;
        let { model } = both;
        const seen: Seen = new Map();
        for (const group of sent) {
          model = await play(model, real, forward(group, model.clock));
          await note(seen, model, real);
        }
        await expectSamePast(seen, real);
        await sweepStore(ledger, real.store);
        await expectSamePast(seen, real);
      }),
      {
        seed,
        numRuns: 40,
        interruptAfterTimeLimit: WAIT_MS_MAX * 4,
        markInterruptAsFailure: false,
      },
    );
  });
});
