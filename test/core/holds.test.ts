import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import type { Account, Hold } from '../../src/core/model.js';
import { A, account, ids, NOBODY } from './world.js';
import { captureCommand, funds, grant, H, hold, holdCommand, Life, textOf } from './world-funds.js';

/** Holds and voids: refusals in their order of precedence, and what becomes of an account. */

const NOW = 1_000;
const HOUR = 3_600_000;
const G1 = ids(201);

/** An account with a pool of 10 of which a hold keeps 5, or whatever is said of either. */
function life(about: Partial<Account> = {}, held: Partial<Hold> = {}): Life {
  const state = funds(10n, [], [hold(held)]);
  return new Life({ ...state, account: { ...state.account, ...about } });
}

const release = (holdId = H): Command => ({ kind: 'release', holdId, accountId: A });
const extend = (expiresInMs: number, holdId = H): Command => ({
  kind: 'extend',
  holdId,
  accountId: A,
  expiresInMs,
});

describe('hold, in order of precedence', () => {
  // Each row has every fault of the rows below it too, so that only the order decides.
  const again = { holdId: ids(301) };
  const other = { ...again, fingerprint: ids(99) };
  test.each<[string, Life, Command]>([
    ['account_not_found', life({ status: 'closed' }), holdCommand(99n, { accountId: NOBODY })],
    ['idempotency_key_mismatch', life({ status: 'closed' }), holdCommand(99n, other)],
    ['hold', life({ status: 'closed' }), holdCommand(99n, again)],
    ['account_closed', life({ status: 'closed' }), holdCommand(99n, { key: 'new' })],
    ['account_frozen', life({ status: 'frozen' }), holdCommand(99n, { key: 'new' })],
    ['insufficient_balance', life(), holdCommand(6n, { key: 'new', holdId: ids(301) })],
    ['hold', life(), holdCommand(5n, { key: 'new', holdId: ids(301) })],
  ])('%s', (expected, given, command) => {
    expect(given.verdicts(NOW, command)).toEqual([expected]);
  });

  test('it lowers what is available, not the balance, and writes no transaction', () => {
    const given = new Life(funds(10n, []));
    given.at(NOW, holdCommand(4n));
    expect(given.position(NOW)).toMatchObject({ balance: 10n, held: 4n, available: 6n });
    expect(given.account).toMatchObject({ balance: 10n, held: 4n, openHolds: 1, version: 0 });
    expect(given.transactions).toEqual([]);
    expect(given.hold()).toMatchObject({ createdAt: NOW, expiresAt: NOW + 1_000, status: 'open' });
  });

  test('a replay answers with the hold as it is now', () => {
    const given = life();
    const [before, , after] = given.at(
      NOW,
      holdCommand(5n, { holdId: ids(301) }),
      captureCommand(3n),
      holdCommand(5n, { holdId: ids(301) }),
    );
    expect(before).toMatchObject({ kind: 'hold', replayed: true, hold: { status: 'open' } });
    expect(after).toMatchObject({ hold: { id: H, status: 'captured', captured: 3n } });
  });

  test('a replay after the expiry answers with what has expired', () => {
    const [decision] = life().at(2_000, holdCommand(5n, { holdId: ids(301) }));
    expect(decision).toMatchObject({ replayed: true, hold: { status: 'expired', remaining: 0n } });
  });

  test('a hold that finds itself is told of as new', () => {
    expect(life().at(NOW, holdCommand(5n))[0]).toMatchObject({ kind: 'hold', replayed: false });
  });
});

describe('release and extend', () => {
  const ended = (status: 'captured' | 'released' | 'expired') =>
    life({}, { status, remaining: 0n, pins: [] });
  test.each<[string, Life, Command]>([
    ['hold_not_found', life(), release(ids(7))],
    ['hold_not_found', life(), { ...release(), accountId: undefined } as Command],
    ['hold_not_open', ended('captured'), release()],
    ['hold', ended('released'), release()],
    ['hold', ended('expired'), release()],
    ['hold', life({ status: 'frozen' }), release()],
    ['hold', life(), release()],
    ['hold_not_found', life(), extend(1, ids(7))],
    ['hold_not_open', ended('captured'), extend(1)],
    ['hold_not_open', ended('released'), extend(1)],
    ['hold_not_open', ended('expired'), extend(1)],
    ['hold', life(), extend(1)],
  ])('%s', (expected, given, command) => {
    expect(given.verdicts(NOW, command)).toEqual([expected]);
  });

  test('a release gives back what is left, once, and writes no transaction', () => {
    const given = life();
    given.at(NOW, captureCommand(2n, { final: false }));
    const [first, second] = given.at(NOW + 1, release(), release());
    expect(first).toMatchObject({ kind: 'hold', replayed: false, hold: { status: 'released' } });
    expect(second).toMatchObject({ kind: 'hold', replayed: true, hold: { captured: 2n } });
    expect(given.position(NOW + 1)).toMatchObject({ balance: 8n, held: 0n, available: 8n });
    expect(given.account).toMatchObject({ held: 0n, openHolds: 0 });
    expect(given.transactions).toHaveLength(1);
  });

  test('an extension counts from now, forwards or backwards', () => {
    const given = life();
    given.at(NOW, extend(HOUR));
    expect(given.hold()).toMatchObject({ expiresAt: NOW + HOUR, updatedAt: NOW });
    expect(given.position(NOW + HOUR - 1)).toMatchObject({ held: 5n });
    expect(given.position(NOW + HOUR)).toMatchObject({ held: 0n, available: 10n });
    given.at(NOW + 1, extend(1));
    expect(given.position(NOW + 2)).toMatchObject({ held: 0n });
  });

  test('it is too late to extend at the very instant of expiry', () => {
    expect(life().verdicts(1_999, extend(HOUR))).toEqual(['hold']);
    expect(life().verdicts(2_000, extend(HOUR))).toEqual(['hold_not_open']);
  });
});

describe('freeze and close with holds', () => {
  const status = (kind: 'freeze' | 'unfreeze' | 'close'): Command => ({ kind, accountId: A });

  test('a frozen account takes no hold and no capture, and gives up what is held', () => {
    const given = life();
    given.at(NOW, status('freeze'));
    const fresh = holdCommand(1n, { holdId: ids(301), key: 'new' });
    expect(given.verdicts(NOW, fresh, captureCommand(1n), release())).toEqual([
      'account_frozen',
      'account_frozen',
      'hold',
    ]);
    expect(given.account).toMatchObject({ status: 'frozen', held: 0n, openHolds: 0 });
  });

  test('closing with open holds is refused with their number', () => {
    const given = life();
    given.at(NOW, holdCommand(1n, { holdId: ids(301), key: 'hold_2' }));
    const [decision] = given.at(NOW, status('close'));
    expect(decision).toMatchObject({
      refusal: { code: 'open_holds', message: expect.stringContaining('2 open holds') },
    });
    expect(given.verdicts(NOW, release(), status('close'))).toEqual(['hold', 'open_holds']);
    expect(given.verdicts(NOW, release(ids(301)), status('close'))).toEqual(['hold', 'account']);
  });

  test('a hold that has just expired is no obstacle', () => {
    expect(life().verdicts(1_999, status('close'))).toEqual(['open_holds']);
    const given = life();
    expect(given.verdicts(2_000, status('close'))).toEqual(['account']);
    expect(given.account).toMatchObject({ status: 'closed', held: 0n, openHolds: 0 });
  });

  test('closed outranks open holds, and a late capture of a closed account is refused', () => {
    expect(life({ status: 'closed' }).verdicts(NOW, status('close'))).toEqual(['account_closed']);
    const given = life();
    given.at(2_000, status('close'));
    expect(given.verdicts(2_000, captureCommand(undefined))).toEqual(['account_closed']);
  });
});

describe('void, in order of precedence', () => {
  const voiding = (grantId = G1, accountId: string | undefined = A): Command => ({
    kind: 'void',
    grantId,
    accountId,
  });
  const of = (fields: Parameters<typeof grant>[0] = {}, about: Partial<Account> = {}) => {
    const state = funds(3n, [grant({ id: G1, ...fields })]);
    return new Life({ ...state, account: { ...state.account, ...about } });
  };
  const spent = { amount: 10n, remaining: 0n };
  const closed = { status: 'closed' } as const;
  test.each<[string, Life, Command]>([
    ['grant_not_found', of(spent, closed), voiding(ids(7))],
    ['grant_not_found', of(), voiding(G1, NOBODY)],
    ['grant', of({ ...spent, voidedAt: 500 }, closed), voiding()],
    ['account_closed', of(spent, closed), voiding()],
    ['grant_not_open', of(spent), voiding()],
    ['grant_not_open', of({ expiresAt: NOW }), voiding()],
    ['grant', of({ effectiveAt: 9_000 }), voiding()],
    ['grant', of({}, { status: 'frozen' }), voiding()],
    ['grant', of(), voiding()],
  ])('%s', (expected, given, command) => {
    expect(given.verdicts(NOW, command)).toEqual([expected]);
  });

  test('what is left goes to breakage at once, once', () => {
    const given = of();
    const [first, second] = given.at(NOW, voiding(), voiding());
    expect(first).toMatchObject({ kind: 'grant', grant: { remaining: 0n, voidedAt: NOW } });
    expect(second).toEqual({ ...first, changes: expect.anything() });
    expect(given.history).toEqual([['void', -10n, NOW]]);
    expect(given.transactions[0]!.entries[1]).toMatchObject({ accountId: ids(4), amount: 10n });
    expect(given.account).toMatchObject({ balance: 3n, openGrants: 0 });
  });

  test('what a hold keeps of it stays for that hold, and goes when that ends', () => {
    const given = of();
    given.at(NOW, holdCommand(7n));
    expect(textOf(given.hold().pins)).toBe('pool:3 g1:4');
    given.at(NOW + 1, voiding());
    expect(given.history).toEqual([['void', -6n, NOW + 1]]);
    expect(given.position(NOW + 1)).toMatchObject({ balance: 7n, held: 7n, available: 0n });
    given.at(NOW + 2, captureCommand(5n));
    expect(given.history.slice(1)).toEqual([
      ['capture', -5n, NOW + 2],
      ['void', -2n, NOW + 2],
    ]);
    expect(given.account).toMatchObject({ balance: 0n, held: 0n, openGrants: 0, openHolds: 0 });
  });

  test('one that has expired is not voided, though a hold keeps of it', () => {
    const given = of({ expiresAt: 1_500 });
    given.at(NOW, holdCommand(5n, { expiresInMs: HOUR }));
    expect(given.verdicts(1_500, voiding())).toEqual(['grant_not_open']);
    given.at(1_600, release());
    expect(given.history.map(([operation]) => operation)).toEqual(['expire', 'expire']);
  });
});

test('an account without grants and holds is decided on its balance alone', () => {
  const given = new Life({ account: account({ balance: 5n }), grants: [], holds: [] });
  given.debit(NOW, 5n);
  expect(given.transactions[0]!.drawdowns).toEqual([]);
  expect(given.verdicts(NOW, holdCommand(1n))).toEqual(['insufficient_balance']);
});
