import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AMOUNT_MAX } from '../../src/core/amount.js';
import {
  creditCommand,
  debitCommand,
  openCommand,
  postCommand,
  reverseCommand,
  statusCommand,
} from '../../src/ledger/commands.js';
import { ensureKey, generateKey, KeyRing, Ledger, type Store } from '../../src/ledger/index.js';
import type { Outcome } from '../../src/ledger/write/outcome.js';
import { newId } from '../../src/store/ids.js';
import {
  type DatabaseOptions,
  onEngine,
  PGLITE,
  POSTGRES,
  type TestDatabase,
  type TestEngine,
} from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { WAIT_MS_MAX } from '../harness/until.js';
import { expectSound } from '../harness/verify.js';
import { Model, type Step, type Verdict } from './model.js';

/** Random commands against the model: the same outcomes, balances and histories. */

const RUNS: [name: string, TestEngine, DatabaseOptions, runs: number][] = [
  ['at read committed', PGLITE, {}, 25],
  ['at read committed', POSTGRES, {}, 40],
  ['at serializable', POSTGRES, { isolation: 'serializable' }, 40],
];

// Accounts and transactions are few, so that commands meet; -1 is one that is not there.
const number = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 7 }) },
  { weight: 1, arbitrary: fc.constant(-1) },
);
const amount = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt({ min: 1n, max: 20n }) },
  { weight: 1, arbitrary: fc.constantFrom(AMOUNT_MAX, AMOUNT_MAX - 1n, 10n ** 21n) },
);
const reference = fc.constantFrom('order', 'order "1"', 'a\\b', '{},NULL', '😀');
const key = fc.oneof(
  fc.nat({ max: 15 }).map((n) => `key ${n}`),
  fc.uuid(),
);
const line = fc.tuple(number, amount, fc.boolean()).map(([account, size, credit]) => {
  return [account, credit ? size : -size] as [number, bigint];
});
/** Lines that sum to zero more often than not. */
const lines = fc
  .tuple(fc.array(line, { minLength: 1, maxLength: 4 }), number, fc.integer({ min: 0, max: 9 }))
  .map(([some, account, odd]): [number, bigint][] => {
    const sum = some.reduce((total, [, size]) => total + size, 0n);
    const rest = odd === 0 || sum === 0n ? 1n : -sum;
    return [...some, [account, rest]];
  });
const move = fc.record({
  kind: fc.constantFrom('credit' as const, 'credit' as const, 'debit' as const),
  account: number,
  amount,
  reference,
  key,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('open' as const),
      customer: fc.constantFrom('a', 'b'),
      name: fc.constantFrom('default', ' Default', 'points', 'POINTS ', 'i', 'ö'),
      seed: fc.oneof(fc.constant(0n), amount),
    }),
  },
  { weight: 8, arbitrary: move },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('post' as const), lines, reference, key }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reverse' as const),
      transaction: fc.oneof(fc.nat({ max: 30 }), fc.constant(-1)),
      account: fc.option(number, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'freeze' as const,
        'unfreeze' as const,
        'unfreeze' as const,
        'close' as const,
      ),
      account: number,
    }),
  },
);
/** What is sent at once. In `any` order matters, and in `spread` it does not. */
const group = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('any' as const),
      steps: fc.array(step, { minLength: 1, maxLength: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('any' as const),
      steps: fc.array(step, { minLength: 2, maxLength: 12 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('spread' as const),
      steps: fc.array(move, { minLength: 2, maxLength: 12 }),
    }),
  },
);
type Group = { kind: 'any' | 'spread'; steps: Step[] };
const groups: fc.Arbitrary<Group[]> = fc.array(group, { minLength: 5, maxLength: 25 });

/** Lets a step name only what is there before its group, for nobody can know of more. */
function resolve(given: Step, model: Model): Step {
  const at = (index: number, count: number) => (index < 0 || count === 0 ? -1 : index % count);
  const account = (index: number) => at(index, model.accounts.length);
  switch (given.kind) {
    case 'open':
      return given;
    case 'post':
      return { ...given, lines: given.lines.map(([index, size]) => [account(index), size]) };
    case 'reverse': {
      const transaction = at(given.transaction, model.transactions.length);
      const on = given.account === undefined ? undefined : account(given.account);
      return { ...given, transaction, account: on };
    }
    default:
      return { ...given, account: account(given.account) };
  }
}

/** One store of the real ledger, spoken to in the model's numbers. */
class Real {
  readonly accounts: string[] = [];
  readonly transactions: string[] = [];
  constructor(
    readonly ledgers: readonly Ledger[],
    readonly store: Store,
  ) {}

  send(given: Step, ledger = this.ledgers[0]!): Promise<Outcome> {
    const { store } = this;
    const account = (index: number) => this.accounts[index] ?? newId();
    switch (given.kind) {
      case 'open': {
        const { customer, name, seed } = given;
        const fields = { customerId: customer, name, unitLabel: 'credits', initialBalance: seed };
        return ledger.execute(store, openCommand(fields));
      }
      case 'credit':
      case 'debit': {
        const { amount, reference, key } = given;
        const accountId = account(given.account);
        const command = given.kind === 'credit' ? creditCommand : debitCommand;
        return ledger.execute(store, command({ accountId, amount, reference, key }));
      }
      case 'post': {
        const postings = given.lines.map(([index, amount]) => ({
          accountId: account(index),
          amount,
        }));
        return ledger.execute(
          store,
          postCommand({ postings, reference: given.reference, key: given.key }),
        );
      }
      case 'reverse': {
        const original = this.transactions[given.transaction] ?? newId();
        const on = given.account === undefined ? undefined : account(given.account);
        return ledger.execute(store, reverseCommand(original, on));
      }
      default:
        return ledger.execute(store, statusCommand(given.kind, account(given.account)));
    }
  }

  /** Says an outcome in the model's numbers, and learns the ids of what is new. */
  async verdict(given: Step, outcome: Outcome, expected: Verdict): Promise<Verdict> {
    if (outcome.kind === 'refused') return outcome.refusal.code;
    if (outcome.kind === 'account') {
      const { id } = outcome.account;
      if (!this.accounts.includes(id)) {
        this.accounts.push(id);
        if (given.kind === 'open' && given.seed > 0n) this.transactions.push(await this.#seed(id));
      }
      return { account: this.accounts.indexOf(id) };
    }
    if (outcome.kind !== 'transaction') throw new Error('A transaction was expected.');
    const { transaction, replayed } = outcome;
    const known = this.transactions.indexOf(transaction.id);
    const next =
      typeof expected === 'object' && 'transaction' in expected ? expected.transaction : -1;
    if (known < 0) this.transactions[next] = transaction.id;
    return { transaction: known < 0 ? next : known, replayed };
  }

  async #seed(accountId: string): Promise<string> {
    const page = { limit: 1, after: undefined, before: undefined };
    const { items } = await this.ledgers[0]!.entries(this.store, accountId, page);
    return items[0]!.transactionId;
  }
}

async function play(model: Model, real: Real, { kind, steps }: Group): Promise<void> {
  let resolved = steps.map((one) => resolve(one, model));
  if (kind === 'spread') {
    // Two ledgers, each with accounts and keys of its own: no order between them is promised.
    resolved = resolved.map((one) =>
      'key' in one && 'account' in one
        ? { ...one, key: `${one.key} of ${one.account % real.ledgers.length}` }
        : one,
    );
  }
  const expected = resolved.map((one) => model.apply(one));
  const outcomes = await Promise.all(
    resolved.map((one) => {
      const lane = kind === 'spread' && 'account' in one ? Math.max(one.account ?? 0, 0) : 0;
      return real.send(one, real.ledgers[lane % real.ledgers.length]);
    }),
  );
  for (const [index, one] of resolved.entries()) {
    const verdict = await real.verdict(one, outcomes[index]!, expected[index]!);
    expect(
      verdict,
      JSON.stringify(one, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
    ).toEqual(expected[index]);
  }
}

async function expectSame(model: Model, real: Real): Promise<void> {
  const { store } = real;
  const ledger = real.ledgers[0]!;
  const page = { limit: 1_000, after: undefined, before: undefined };
  for (const [index, account] of model.accounts.entries()) {
    const id = real.accounts[index]!;
    const { status, balance } = await ledger.account(store, id);
    expect({ status, balance }).toEqual({ status: account.status, balance: account.balance });
    const { items } = await ledger.entries(store, id, page);
    const history = items.map((entry) => entry.amount).reverse();
    expect(history).toEqual(account.history);
  }
  for (const [index, { lines: sent }] of model.transactions.entries()) {
    const { entries } = await ledger.transaction(store, real.transactions[index]!);
    const shown = entries.filter(({ seq }) => seq !== null);
    expect(shown.map((entry) => [real.accounts.indexOf(entry.accountId), entry.amount])).toEqual(
      sent,
    );
  }
}

for (const [name, engine, options, numRuns] of RUNS) {
  onEngine(engine, () => {
    let database: TestDatabase;
    let ledgers: Ledger[];

    beforeAll(async () => {
      database = await engine.create(options);
      ledgers = [new Ledger(database.engine)];
      if (engine === POSTGRES) ledgers.push(new Ledger(await database.another()));
    });
    afterAll(() => database.drop());

    let stores = 0;
    const createReal = async () => {
      const { reader } = database.engine;
      const apiKey = generateKey('test');
      await ensureKey(reader, apiKey, { store: `run ${stores++}`, name: 'test', scopes: ['*'] });
      return new Real(ledgers, (await new KeyRing(reader).authenticate(apiKey))!.store);
    };

    test(`${name}: the ledger does as the model does`, async () => {
      const seed = seedOf(`property test on ${engine.name} ${name}`);
      await fc.assert(
        fc.asyncProperty(groups, async (sent) => {
          const model = new Model();
          const real = await createReal();
          for (const one of sent) await play(model, real, one);
          await expectSame(model, real);
        }),
        { seed, numRuns, interruptAfterTimeLimit: WAIT_MS_MAX * 4, markInterruptAsFailure: true },
      );
      await expectSound(database.engine.reader);
    });
  });
}
