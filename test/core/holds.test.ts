import { describe, expect, test } from 'vitest';
import type { CaptureCommand, Command } from '../../src/core/command.js';
import type { Account, Hold } from '../../src/core/model.js';
import { A, account, ids, NOBODY } from './world.js';
import { captureCommand, funds, grant, H, hold, holdCommand, Life, textOf } from './world-funds.js';

/** Holds: refusals in their order of precedence, and what captures, releases and extensions do. */

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
const HOLDER = { transactionId: ids(60), fingerprint: ids(73) };

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
