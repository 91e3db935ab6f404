import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PostCommand } from '../../src/core/command.js';
import type { Funds } from '../../src/core/funds/funds.js';
import type { Uuid } from '../../src/core/id.js';
import { type Posting, remarksOf } from '../../src/core/model.js';
import { seedOf } from '../harness/seed.js';
import { A, account, B, ids } from './world.js';
import { funds, grant, hold, Life, textOf } from './world-funds.js';

/** A transaction with several lines of one account draws what the account's net takes. */

const G1 = ids(201);
const G2 = ids(202);

class Posts extends Life {
  constructor(...given: ConstructorParameters<typeof Life>) {
    super(...given);
    this.accounts.set(B, account({ id: B, name: 'other', balance: 1_000n }));
  }

  post(now: number, amounts: readonly bigint[]) {
    const own = amounts.map((amount): Posting => ({ accountId: A, amount }));
    const rest = -amounts.reduce((sum, amount) => sum + amount, 0n);
    const postings = rest === 0n ? own : [...own, { accountId: B, amount: rest }];
    const transactionId = this.newId();
    const command: PostCommand = {
      kind: 'post',
      postings,
      remarks: remarksOf({ reference: 'order_1' }),
      key: `post ${transactionId}`,
      transactionId,
      fingerprint: ids(70),
    };
    return this.at(now, command)[0]!;
  }

  /** What the last transaction drew, line by line. */
  get drawn(): string[] {
    const { entries, drawdowns } = this.transactions.at(-1)!;
    return entries
      .filter(({ accountId }) => accountId === A)
      .map(({ line }) => textOf(drawdowns.filter((one) => one.line === line)));
  }

  left(...grantIds: Uuid[]): bigint[] {
    return grantIds.map((id) => this.grant(id).remaining);
  }
}

const soon = () => grant({ id: G1, remaining: 100n, expiresAt: 5_000 });
const later = () => grant({ id: G2, remaining: 50n, expiresAt: 9_000 });

describe('a net of zero', () => {
  test.each([
    ['the debit first', [-100n, 100n]],
    ['the credit first', [100n, -100n]],
    ['in parts', [-60n, 30n, -40n, 70n]],
    ['more than there is', [-500n, 500n]],
  ])('leaves grants and pool untouched: %s', (_, amounts) => {
    const life = new Posts(funds(7n, [soon(), later()]));
    const before = life.funds;
    expect(life.post(1_000, amounts).kind).toBe('posted');
    expect(life.drawn).toEqual(amounts.map(() => ''));
    expect(life.funds.grants).toEqual(before.grants);
    expect(life.position(1_000)).toEqual({
      balance: 157n,
      held: 0n,
      available: 157n,
      pending: 0n,
      expiringNext: { amount: 100n, at: 5_000 },
    });
    // What was to expire still does.
    life.debit(9_001, 1n);
    expect(life.account.balance).toBe(6n);
  });

  test('is carried out even where holds keep everything', () => {
    const pins = [{ grantId: G1, amount: 100n }];
    const held = hold({ amount: 100n, remaining: 100n, pins });
    const life = new Posts(funds(0n, [soon()], [held]));
    expect(life.post(1_000, [-100n, 100n]).kind).toBe('posted');
    expect(life.hold().pins).toEqual(pins);
  });
});

describe('a net that takes', () => {
  test.each<[string, bigint[], string[]]>([
    ['credits pay the first debits', [-60n, -60n, 70n], ['', 'g1:50', '']],
    ['whatever the order of the lines', [70n, -60n, -60n], ['', '', 'g1:50']],
    ['a debit that is paid in part', [20n, -60n, -60n], ['', 'g1:40', 'g1:60']],
    ['over two grants and the pool', [5n, -105n, -53n], ['', 'g1:100', 'g2:50']],
  ])('is drawn in the order of use: %s', (_, amounts, drawn) => {
    const life = new Posts(funds(7n, [soon(), later()]));
    expect(life.post(1_000, amounts).kind).toBe('posted');
    expect(life.drawn).toEqual(drawn);
  });

  test('is covered by what is available before it, and says what was needed', () => {
    const life = new Posts(funds(0n, [soon()]));
    expect(life.post(1_000, [30n, -130n]).kind).toBe('posted');
    expect(life.left(G1)).toEqual([0n]);
    const other = new Posts(funds(0n, [soon()]));
    expect(other.post(1_000, [30n, -131n])).toMatchObject({
      refusal: { code: 'insufficient_balance', message: expect.stringMatching(/131 .* 130 /) },
    });
  });
});

test('whatever is posted, the net draws, and a reversal puts it back as it was', () => {
  const seed = seedOf('net of posts');
  const amount = fc.bigInt({ min: 1n, max: 60n });
  const lines = fc.array(
    fc.tuple(amount, fc.boolean()).map(([size, credit]) => (credit ? size : -size)),
    { minLength: 1, maxLength: 6 },
  );
  const property = fc.property(fc.bigInt({ min: 0n, max: 40n }), lines, (pool, amounts) => {
    const life = new Posts(funds(pool, [soon(), later()]));
    const before = life.funds;
    const net = amounts.reduce((sum, one) => sum + one, 0n);
    const available = life.position(1_000).available;
    const decision = life.post(1_000, amounts);
    if (available + net < 0n) {
      expect(decision.kind).toBe('refused');
      return;
    }
    expect(decision.kind).toBe('posted');
    const posted = life.transactions.at(-1)!;
    const single = new Posts(funds(pool, [soon(), later()]));
    if (net < 0n) single.debit(1_000, -net);
    if (net > 0n) single.credit(1_000, net);
    expect(life.left(G1, G2)).toEqual(single.left(G1, G2));
    for (const { line, amount: size } of posted.drawdowns) {
      expect(size <= -posted.entries[line]!.amount).toBe(true);
    }
    expect(life.reverse(1_001, posted.id).kind).toBe('posted');
    expect(life.funds.grants).toEqual(before.grants);
    expect(life.position(1_001)).toEqual(new Posts(before).position(1_001));
  });
  fc.assert(property, { seed, numRuns: 500 });
});

test('what was drawn by the former rule is put back as it was drawn', () => {
  // Its debit line drew from the grant, and its credit line went to the pool.
  const life = new Posts(funds(100n, [grant({ id: G1, amount: 100n, remaining: 0n })]));
  const lines = [-100n, 100n].map((amount, line) => {
    return { line, accountId: A, amount, seq: 2 - line, balanceAfter: 100n };
  });
  life.transactions.push({
    id: ids(40),
    operation: 'post',
    ...remarksOf({ reference: 'order_0' }),
    key: 'key_0',
    fingerprint: ids(71),
    reversalOf: null,
    createdAt: 20,
    entries: lines,
    drawdowns: [{ line: 0, grantId: G1, amount: 100n }],
    holdId: null,
  });
  expect(life.reverse(1_000, ids(40)).kind).toBe('posted');
  expect(life.left(G1)).toEqual([100n]);
  expect(life.account.balance).toBe(100n);
});

describe('an account that is taken along to a later instant', () => {
  const LATER = 5_000;
  const ends = { expiresAt: 2_000 };
  const alongWith = (own: Funds) => {
    const life = new Posts(own);
    life.accounts.set(B, account({ id: B, name: 'other', balance: 1_000n, postedAt: LATER }));
    return life;
  };

  test('has not what a grant had that has ended on the way', () => {
    const grants = [grant({ id: G1, amount: 100n, remaining: 100n, ...ends })];
    const life = alongWith(funds(10n, grants));
    expect(life.post(1_000, [-11n]).kind).toBe('refused');
    const posted = life.post(1_000, [-10n]);
    expect(posted.kind).toBe('posted');
    const drew = life.transactions.map(({ operation, drawdowns }) => [
      operation,
      textOf(drawdowns),
    ]);
    expect(drew).toEqual([
      ['post', ''],
      ['expire', 'g1:100'],
    ]);
    expect(life.position(LATER).balance).toBe(0n);
  });

  test('has what a hold kept that has ended on the way', () => {
    const pins = [{ grantId: null, amount: 10n }];
    const life = alongWith(funds(10n, [], [hold({ amount: 10n, remaining: 10n, pins, ...ends })]));
    expect(life.post(1_000, [-10n]).kind).toBe('posted');
    expect(life.position(LATER)).toMatchObject({ balance: 0n, held: 0n });
  });
});
