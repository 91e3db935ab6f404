import fc from 'fast-check';
import { type FundsModel, REAL, type Step } from './funds-model.js';

/** Random steps: few accounts, small amounts and short lives, so that everything meets. */

const ACCOUNTS = 3;
const account = fc.nat({ max: ACCOUNTS - 1 });
const amount = fc.bigInt({ min: 1n, max: 12n });
const tick = fc.nat({ max: 40 });
const ticks = fc.integer({ min: 1, max: 12 });
const index = fc.nat({ max: 30 });
const of = <Kind extends Step['kind']>(kind: Kind) => fc.constant(kind);

const line = fc.tuple(amount, fc.boolean()).map(([size, credit]) => (credit ? size : -size));
const someLines = fc.array(line, { minLength: 1, maxLength: 4 });
const lines = fc.oneof(
  someLines,
  // Their net is zero.
  fc.tuple(someLines, fc.nat()).map(([some, place]) => {
    const all = [...some];
    all.splice(place % (some.length + 1), 0, ...some.map((one) => -one));
    return all;
  }),
);

const terms = fc.record({
  priority: fc.constantFrom(0, 50, 50, 50, 100),
  promo: fc.boolean(),
  from: fc.option(tick, { freq: 3 }),
  until: fc.option(tick, { freq: 3 }),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: of('credit'),
      account,
      amount,
      terms: fc.option(terms, { nil: undefined, freq: 4 }),
      id: fc.constant(''),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: of('debit'), account, amount }) },
  { weight: 1, arbitrary: fc.record({ kind: of('transfer'), account, to: account, amount }) },
  { weight: 3, arbitrary: fc.record({ kind: of('post'), account, to: account, lines }) },
  { weight: 3, arbitrary: fc.record({ kind: of('reverse'), transaction: index }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: of('hold'), account, amount, ticks, key: fc.nat({ max: 60 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: of('capture'),
      hold: index,
      amount: fc.option(amount, { nil: undefined }),
      cap: fc.boolean(),
      final: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: of('release'), hold: index }) },
  { weight: 1, arbitrary: fc.record({ kind: of('extend'), hold: index, ticks }) },
  { weight: 1, arbitrary: fc.record({ kind: of('void'), grant: index }) },
  { weight: 1, arbitrary: fc.record({ kind: of('settle'), account }) },
  { weight: 1, arbitrary: fc.record({ kind: of('freeze'), account }) },
  { weight: 2, arbitrary: fc.record({ kind: of('unfreeze'), account }) },
  // Closing is final, so it is left to one account.
  { weight: 1, arbitrary: fc.record({ kind: of('close'), account: fc.constant(ACCOUNTS - 1) }) },
);

const debit = fc.record({ kind: of('debit'), account, amount });

const move = fc.record({
  kind: of('clock'),
  to: fc.oneof({ weight: 5, arbitrary: tick }, { weight: 1, arbitrary: fc.constant(REAL) }),
});

export const groups = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        steps: fc.array(step, { minLength: 1, maxLength: 4 }),
        atomic: fc.constantFrom(false, false, true),
      }),
    },
    {
      // Batches of debits alone, which read no more grants than they can reach.
      weight: 1,
      arbitrary: fc.record({
        steps: fc.array(debit, { minLength: 1, maxLength: 4 }),
        atomic: fc.constant(false),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ steps: fc.tuple(move), atomic: fc.constant(false) }),
    },
  ),
  { minLength: 10, maxLength: 40 },
);

/** Lets a step name only what is there before its group; undefined where nothing is. */
export function resolve(
  given: Step,
  model: FundsModel,
): Exclude<Step, { kind: 'clock' }> | undefined {
  const within = (number: number, count: number) => (count === 0 ? undefined : number % count);
  switch (given.kind) {
    case 'clock':
      return undefined;
    case 'reverse': {
      const transaction = within(given.transaction, model.transactions.length);
      return transaction === undefined ? undefined : { ...given, transaction };
    }
    case 'capture':
    case 'release':
    case 'extend': {
      const hold = within(given.hold, model.holds.length);
      return hold === undefined ? undefined : { ...given, hold };
    }
    case 'void': {
      const grant = within(given.grant, model.lots.length);
      return grant === undefined ? undefined : { ...given, grant };
    }
    case 'transfer':
    case 'post':
      return given.account === given.to ? undefined : given;
    default:
      return given;
  }
}
