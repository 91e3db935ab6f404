import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import { A, ids } from './world.js';
import { captureCommand, funds, grant, H, holdCommand, Life } from './world-funds.js';

/** What falls due on an account, when, and in which order it is written down. */

const NOW = 1_000;
const LONG = 1_000_000;
const G1 = ids(201);
const G2 = ids(202);
const G3 = ids(203);
const settle: Command = { kind: 'settle', accountId: A, aheadMs: 0 };
const release: Command = { kind: 'release', holdId: H, accountId: A };

describe('expiry', () => {
  const three = () =>
    new Life(
      funds(5n, [
        grant({ id: G1, amount: 3n, expiresAt: 1_300 }),
        grant({ id: G2, amount: 4n, expiresAt: 1_100 }),
        grant({ id: G3, amount: 6n, expiresAt: 1_200 }),
      ]),
    );

  test.each([
    [1_099, []],
    [1_100, [['expire', -4n, 1_100]]],
    [
      1_250,
      [
        ['expire', -4n, 1_100],
        ['expire', -6n, 1_200],
      ],
    ],
    [
      9_999,
      [
        ['expire', -4n, 1_100],
        ['expire', -6n, 1_200],
        ['expire', -3n, 1_300],
      ],
    ],
  ] as const)(
    'at %d what was due is written at the instants at which it was due',
    (at, history) => {
      const given = three();
      given.at(at, settle);
      expect(given.history).toEqual(history);
      given.at(at, settle);
      expect(given.history).toEqual(history);
    },
  );

  test('history is the same whether it is written at once or bit by bit', () => {
    const [late, often] = [three(), three()];
    late.at(2_000, settle);
    for (let at = 1_000; at <= 2_000; at += 50) often.at(at, settle);
    expect(late.history).toEqual(often.history);
    expect(late.account).toEqual(often.account);
  });

  test('grants of one instant are one transaction to breakage', () => {
    const given = new Life(
      funds(1n, [
        grant({ id: G1, amount: 3n, expiresAt: 1_100 }),
        grant({ id: G2, amount: 4n, expiresAt: 1_100 }),
      ]),
    );
    given.at(1_100, settle);
    expect(given.transactions).toHaveLength(1);
    expect(given.transactions[0]!.entries).toMatchObject([
      { accountId: A, amount: -7n, seq: 1, balanceAfter: 1n },
      { accountId: ids(4), amount: 7n, seq: null },
    ]);
    expect(given.account).toMatchObject({ balance: 1n, openGrants: 0, postedAt: 1_100 });
  });

  test('it comes before the command that found it, which cannot use it', () => {
    const given = three();
    expect(given.debit(1_300, 6n)).toMatchObject({ refusal: { code: 'insufficient_balance' } });
    expect(given.account.balance).toBe(5n);
    given.debit(1_300, 5n);
    expect(given.history.map(([operation]) => operation)).toEqual([
      'expire',
      'expire',
      'expire',
      'debit',
    ]);
  });

  test('a frozen and a closed account expire too', () => {
    for (const status of ['frozen', 'closed'] as const) {
      const state = funds(0n, [grant({ id: G1, expiresAt: 1_100 })]);
      const given = new Life({ ...state, account: { ...state.account, status } });
      given.at(1_100, settle);
      expect(given.history).toEqual([['expire', -10n, 1_100]]);
    }
  });
});

describe('a grant that a hold keeps of', () => {
  /** A hold of 7 of the 10 of a grant that expires at 1,100. */
  const held = (expiresInMs = LONG) => {
    const given = new Life(funds(0n, [grant({ id: G1, expiresAt: 1_100 })]));
    given.at(NOW, holdCommand(7n, { expiresInMs }));
    return given;
  };

  test('stays usable by that hold after its expiry, and by nothing else', () => {
    const given = held();
    expect(given.position(1_100)).toMatchObject({ balance: 7n, held: 7n, available: 0n });
    expect(given.debit(1_100, 1n)).toMatchObject({ kind: 'refused' });
    given.at(1_500, captureCommand(7n));
    expect(given.history).toEqual([
      ['expire', -3n, 1_100],
      ['capture', -7n, 1_500],
    ]);
  });

  test('expires with what a capture leaves, at the capture', () => {
    const given = held();
    given.at(1_500, captureCommand(2n));
    expect(given.history.slice(1)).toEqual([
      ['capture', -2n, 1_500],
      ['expire', -5n, 1_500],
    ]);
  });

  test('stays for the rest of a capture that is not final', () => {
    const given = held();
    given.at(1_500, captureCommand(2n, { final: false }));
    expect(given.position(1_500)).toMatchObject({ balance: 5n, held: 5n, available: 0n });
  });

  test('expires at once when it is released, and not before', () => {
    const given = held();
    given.at(1_500, release);
    // Until the release the hold could use it, so no balance of before may change.
    expect(given.history).toEqual([
      ['expire', -3n, 1_100],
      ['expire', -7n, 1_500],
    ]);
    expect(given.account).toMatchObject({ balance: 0n, held: 0n, openGrants: 0, openHolds: 0 });
  });

  test('expires at the instant at which the hold does', () => {
    const given = held(400);
    expect(given.position(1_399)).toMatchObject({ balance: 7n, held: 7n });
    expect(given.position(1_400)).toMatchObject({ balance: 0n, held: 0n });
    given.at(2_000, settle);
    expect(given.history).toEqual([
      ['expire', -3n, 1_100],
      ['expire', -7n, 1_400],
    ]);
    expect(given.hold()).toMatchObject({ status: 'expired', remaining: 0n, updatedAt: 1_400 });
  });

  test('does not serve a late capture', () => {
    const given = held(50);
    expect(given.verdicts(1_100, captureCommand(undefined))).toEqual(['insufficient_balance']);
    const before = held(50);
    before.at(1_099, captureCommand(undefined));
    expect(before.history).toEqual([['late_capture', -7n, 1_099]]);
  });
});

describe('reversal', () => {
  const life = () => new Life(funds(5n, []));
  const last = (given: Life) => given.transactions.at(-1)!;

  test.each([
    ['unspent', 0n, 1_500, 'posted'],
    ['partly spent', 1n, 1_500, 'insufficient_balance'],
    ['expired', 0n, 2_000, 'insufficient_balance'],
  ] as const)('of a credit that made a grant, %s', (_, spent, at, expected) => {
    const given = life();
    given.credit(NOW, 10n, { priority: 0, expiresAt: 2_000 });
    const credit = last(given);
    if (spent > 0n) given.debit(NOW, spent);
    const decision = given.reverse(at, credit.id);
    expect(decision.kind === 'refused' ? decision.refusal.code : decision.kind).toBe(expected);
    const balance = { unspent: 5n, 'partly spent': 14n, expired: 5n }[_];
    expect(given.account.balance).toBe(balance);
  });

  test('of a credit whose grant a hold keeps of is refused until it is let go', () => {
    const given = life();
    given.credit(NOW, 10n, { priority: 0 });
    const credit = last(given);
    given.at(NOW, holdCommand(1n));
    expect(given.reverse(NOW, credit.id)).toMatchObject({ kind: 'refused' });
    given.at(NOW, release);
    expect(given.reverse(NOW, credit.id)).toMatchObject({ kind: 'posted' });
    expect(given.account).toMatchObject({ balance: 5n, openGrants: 0 });
  });

  test('of a plain credit takes from the pool, and never from a grant', () => {
    const given = life();
    given.credit(NOW, 4n);
    const credit = last(given);
    given.credit(NOW, 10n, { priority: 60 });
    given.debit(NOW, 6n);
    expect(given.reverse(NOW, credit.id)).toMatchObject({ kind: 'refused' });
    given.credit(NOW, 1n);
    expect(given.reverse(NOW, credit.id)).toMatchObject({ kind: 'posted' });
    expect(given.account).toMatchObject({ balance: 10n, openGrants: 1 });
  });

  test('of a debit from a grant that has expired puts it back and expires it again', () => {
    const given = life();
    given.credit(NOW, 10n, { expiresAt: 2_000 });
    given.debit(NOW, 12n);
    const debit = last(given);
    given.reverse(3_000, debit.id);
    expect(given.history.slice(2)).toEqual([
      ['reverse', 12n, 3_000],
      ['expire', -10n, 3_000],
    ]);
    expect(given.transactions.at(-2)!.drawdowns).toMatchObject([{ amount: -10n }]);
    expect(given.account).toMatchObject({ balance: 5n, openGrants: 0 });
  });

  test('of a debit from a grant that was voided forfeits it again, as a void', () => {
    const given = life();
    given.credit(NOW, 10n, { priority: 0 });
    const grantId = [...given.grants.get(A)!.keys()][0]!;
    given.debit(NOW, 4n);
    const debit = last(given);
    given.at(NOW + 1, { kind: 'void', grantId, accountId: A });
    given.reverse(NOW + 2, debit.id);
    expect(given.history.slice(2)).toEqual([
      ['void', -6n, NOW + 1],
      ['reverse', 4n, NOW + 2],
      ['void', -4n, NOW + 2],
    ]);
  });

  test('of a capture puts back into the grants of its hold, whose end stays', () => {
    const given = life();
    given.credit(NOW, 10n, { priority: 0, expiresAt: 9_000 });
    given.at(NOW, holdCommand(12n));
    given.at(NOW, captureCommand(12n));
    given.reverse(NOW + 1, ids(400));
    expect(given.hold()).toMatchObject({ status: 'captured', captured: 12n });
    expect(given.position(NOW + 1)).toMatchObject({ balance: 15n, available: 15n });
    expect(given.position(9_000)).toMatchObject({ balance: 5n, available: 5n });
  });

  test.each(['expire', 'void'] as const)('of an %s is refused', (operation) => {
    const given = life();
    given.credit(NOW, 10n, { expiresAt: 2_000 });
    const grantId = [...given.grants.get(A)!.keys()][0]!;
    if (operation === 'void') given.at(NOW, { kind: 'void', grantId, accountId: A });
    given.at(2_000, settle);
    expect(last(given).operation).toBe(operation);
    expect(given.reverse(2_000, last(given).id)).toMatchObject({
      refusal: { code: 'transaction_not_reversible' },
    });
  });
});

test('drawdowns are in the order in which a replay reads them', () => {
  const grants = [
    grant({ id: G1, amount: 2n, priority: 60 }),
    grant({ id: G2, amount: 2n, priority: 10 }),
    grant({ id: G3, amount: 2n, priority: 30 }),
  ];
  const given = new Life(funds(0n, grants));
  given.debit(NOW, 6n);
  expect(given.transactions[0]!.drawdowns.map(({ grantId }) => grantId)).toEqual([G1, G2, G3]);
});

describe('a clock that was set back', () => {
  test('does not take from an account the time that it has seen', () => {
    const given = new Life(funds(0n, [grant({ id: G1, effectiveAt: 5_000 })]));
    given.debit(6_000, 1n);
    expect(given.debit(NOW, 1n)).toMatchObject({ kind: 'posted' });
    expect(given.history.map(([, , at]) => at)).toEqual([6_000, 6_000]);
  });

  test('makes what is held of a grant to come neither pending nor lost', () => {
    const given = new Life(funds(2n, [grant({ id: G1, effectiveAt: 5_000, priority: 0 })]));
    given.at(6_000, holdCommand(4n, { expiresInMs: LONG }));
    expect(given.position(NOW)).toEqual({
      balance: 6n,
      held: 4n,
      available: 2n,
      pending: 6n,
      expiringNext: null,
    });
    given.at(NOW, captureCommand(4n));
    expect(given.history).toEqual([['capture', -4n, NOW]]);
  });
});
