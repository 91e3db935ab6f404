import { describe, expect, test } from 'vitest';
import type { CaptureCommand } from '../../src/core/command.js';
import type { Account, Hold } from '../../src/core/model.js';
import { ids } from './world.js';
import { captureCommand, funds, H, hold, holdCommand, Life } from './world-funds.js';

/** Captures: refusals in their order of precedence, and what they take, in time and late. */

const NOW = 1_000;
const HOLDER = { transactionId: ids(60), fingerprint: ids(73) };

/** An account with a pool of 10 of which a hold keeps 5, or whatever is said of either. */
function life(about: Partial<Account> = {}, held: Partial<Hold> = {}): Life {
  const state = funds(10n, [], [hold(held)]);
  return new Life({ ...state, account: { ...state.account, ...about } });
}

describe('capture, in order of precedence', () => {
  const foreign = { transactionId: ids(60), fingerprint: ids(99) };
  const keyed = (given: Life, holder = HOLDER) => {
    given.keys.set('capture_1', holder);
    return given;
  };
  const closed = { status: 'closed' } as const;
  const captured = { status: 'captured', remaining: 0n, pins: [] } as const;
  const released = { ...captured, status: 'released' } as const;
  test.each<[string, Life, CaptureCommand]>([
    ['hold_not_found', keyed(life(closed), foreign), captureCommand(99n, { holdId: ids(7) })],
    ['hold_not_found', life(), captureCommand(1n, { accountId: undefined })],
    ['idempotency_key_mismatch', keyed(life(closed, captured), foreign), captureCommand(99n)],
    ['found', keyed(life(closed, captured)), captureCommand(99n)],
    ['account_closed', life(closed, captured), captureCommand(99n)],
    ['account_frozen', life({ status: 'frozen' }, captured), captureCommand(99n)],
    ['hold_not_open', life({}, captured), captureCommand(99n)],
    ['hold_not_open', life({}, released), captureCommand(1n)],
    ['insufficient_balance', life(), captureCommand(11n)],
    ['posted', life(), captureCommand(10n)],
  ])('%s', (expected, given, command) => {
    expect(given.verdicts(NOW, command)).toEqual([expected]);
  });

  test('a replay of a capture is found in its own batch too', () => {
    const again = captureCommand(3n, { transactionId: ids(401) });
    const [, second] = life().at(NOW, captureCommand(3n), again);
    expect(second).toEqual({ kind: 'found', transactionId: ids(400), replayed: true });
  });
});

describe('what a capture takes of a hold of 5, in an account of 10', () => {
  // What is asked for, what is debited, and what is left of hold and account.
  test.each<[bigint | undefined, Partial<CaptureCommand>, bigint, Partial<Hold>, bigint]>([
    [undefined, {}, 5n, { status: 'captured', captured: 5n, remaining: 0n }, 5n],
    [5n, {}, 5n, { status: 'captured', captured: 5n, remaining: 0n }, 5n],
    [3n, {}, 3n, { status: 'captured', captured: 3n, remaining: 0n }, 7n],
    [8n, {}, 8n, { status: 'captured', captured: 8n, remaining: 0n }, 2n],
    [10n, {}, 10n, { status: 'captured', captured: 10n, remaining: 0n }, 0n],
    [14n, { overage: 'cap' }, 10n, { status: 'captured', captured: 10n, remaining: 0n }, 0n],
    [4n, { overage: 'cap' }, 4n, { status: 'captured', captured: 4n, remaining: 0n }, 6n],
    [3n, { final: false }, 3n, { status: 'open', captured: 3n, remaining: 2n }, 5n],
    [5n, { final: false }, 5n, { status: 'captured', captured: 5n, remaining: 0n }, 5n],
    [undefined, { final: false }, 5n, { status: 'captured', captured: 5n }, 5n],
    [8n, { final: false }, 8n, { status: 'captured', captured: 8n, remaining: 0n }, 2n],
    [14n, { final: false, overage: 'cap' }, 10n, { status: 'captured', captured: 10n }, 0n],
  ])('%s with %o', (amount, fields, debited, after, available) => {
    const given = life();
    given.at(NOW, captureCommand(amount, fields));
    expect(given.history).toEqual([['capture', -debited, NOW]]);
    expect(given.hold()).toMatchObject({ ...after, updatedAt: NOW });
    const held = given.hold().remaining;
    expect(given.position(NOW)).toMatchObject({ balance: 10n - debited, held, available });
    expect(given.account).toMatchObject({ held, openHolds: held > 0n ? 1 : 0 });
    expect(given.hold().pins.reduce((sum, part) => sum + part.amount, 0n)).toBe(held);
  });

  test('it links to its hold, and has the reference of the hold and a key of its own', () => {
    const given = life();
    given.at(NOW, captureCommand(2n, { metadata: { job: '7' } }));
    expect(given.transactions[0]).toMatchObject({
      holdId: H,
      reference: 'job_1',
      key: 'capture_1',
      metadata: { job: '7' },
    });
  });

  test('a refused one leaves the hold as it was', () => {
    const given = life();
    given.at(NOW, captureCommand(11n));
    expect(given.hold()).toEqual(hold());
    expect(given.transactions).toEqual([]);
  });

  test('what another hold keeps is no excess', () => {
    const given = life();
    given.at(NOW, holdCommand(4n, { holdId: ids(301), key: 'hold_2' }));
    expect(given.verdicts(NOW, captureCommand(7n))).toEqual(['insufficient_balance']);
    given.at(NOW, captureCommand(7n, { overage: 'cap' }));
    expect(given.history).toEqual([['capture', -6n, NOW]]);
    expect(given.position(NOW)).toMatchObject({ balance: 4n, held: 4n, available: 0n });
  });

  test('several, and then the rest', () => {
    const given = life();
    for (const [index, amount] of [1n, 2n].entries()) {
      const key = `capture ${index}`;
      given.at(NOW, captureCommand(amount, { final: false, key, transactionId: ids(410 + index) }));
    }
    given.at(NOW, captureCommand(undefined, { final: false }));
    expect(given.history.map(([, amount]) => amount)).toEqual([-1n, -2n, -2n]);
    expect(given.hold()).toMatchObject({ status: 'captured', captured: 5n });
  });
});

describe('a capture that comes late', () => {
  const LATE = 2_000;

  test('at the very instant of expiry it is a plain debit, and says so', () => {
    const given = life();
    expect(given.verdicts(LATE, captureCommand(undefined))).toEqual(['posted']);
    expect(given.history).toEqual([['late_capture', -5n, LATE]]);
    expect(given.hold()).toMatchObject({ status: 'captured', captured: 5n, updatedAt: LATE });
    expect(given.account).toMatchObject({ held: 0n, openHolds: 0 });
  });

  test('one millisecond before, it is a capture', () => {
    const given = life();
    given.at(LATE - 1, captureCommand(undefined));
    expect(given.history).toEqual([['capture', -5n, LATE - 1]]);
  });

  test.each([
    ['refuse', ['insufficient_balance'], []],
    ['cap', ['posted'], [['late_capture', -3n, LATE]]],
  ] as const)('with too little left: %s', (overage, verdicts, history) => {
    const given = life();
    given.debit(LATE, 7n);
    given.transactions.length = 0;
    expect(given.verdicts(LATE, captureCommand(undefined, { overage }))).toEqual(verdicts);
    expect(given.history).toEqual(history);
  });

  test.each(['refuse', 'cap'] as const)('with nothing left: %s', (overage) => {
    const given = life();
    given.debit(LATE, 10n);
    const command = captureCommand(undefined, { overage });
    expect(given.verdicts(LATE, command)).toEqual(['insufficient_balance']);
    given.credit(LATE, 9n);
    expect(given.verdicts(LATE, command)).toEqual(['posted']);
  });

  test('what was captured in time is not billed again', () => {
    const given = life();
    given.at(NOW, captureCommand(2n, { final: false }));
    given.at(LATE, captureCommand(undefined, { key: 'late', transactionId: ids(401) }));
    expect(given.history).toEqual([
      ['capture', -2n, NOW],
      ['late_capture', -3n, LATE],
    ]);
  });

  test('in parts it ends once all of it is billed', () => {
    const given = life();
    const part = (amount: bigint, n: number) =>
      captureCommand(amount, { final: false, key: `late ${n}`, transactionId: ids(420 + n) });
    expect(given.verdicts(LATE, part(2n, 1), part(3n, 2), part(1n, 3))).toEqual([
      'posted',
      'posted',
      'hold_not_open',
    ]);
    expect(given.hold()).toMatchObject({ status: 'captured', captured: 5n });
  });
});
