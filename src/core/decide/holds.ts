import type { CaptureCommand, ExtendCommand, HoldCommand, ReleaseCommand } from '../command.js';
import { notFound, type Refusal, refuse } from '../errors.js';
import { leaveOf, OPEN_HOLDS_MAX, sumOf, takeFrom } from '../funds/funds.js';
import { endedHold } from '../funds/kept.js';
import { fundsOf, takeableOf, usableParts } from '../funds/position.js';
import type { Account, Hold, Part } from '../model.js';
import { type Changes, type Decision, instantOf, NO_CHANGES, type State } from '../state.js';
import { draftOf, uncovered } from './book.js';
import { mismatch, missingAccount, posted, refused, replay, unusable } from './checks.js';

/** Checks and sets aside in one step, so that parallel uses of unknown cost cannot overspend. */
export function decideHold(state: State, command: HoldCommand): Decision {
  const { accountId, amount, holdId: id, reference, key, fingerprint } = command;
  const missing = missingAccount(state, [accountId]);
  if (missing !== undefined) return missing;
  const existing = state.holdKeys.get(key);
  if (existing !== undefined) {
    if (existing.fingerprint !== fingerprint) return mismatch();
    return { kind: 'hold', hold: existing, replayed: existing.id !== id, changes: NO_CHANGES };
  }
  const blocked = unusable(state, [command]);
  if (blocked !== undefined) return blocked;
  const account = state.accounts.get(accountId)!;
  const now = instantOf(state, account);
  const funds = fundsOf(state, account, now);
  const available = takeableOf(state, funds, now);
  if (available < amount) return refused(uncovered(amount, available, 'amount'));
  if (account.openHolds >= OPEN_HOLDS_MAX) return refused(tooManyHolds());
  const hold: Hold = {
    id,
    accountId,
    amount,
    remaining: amount,
    captured: 0n,
    status: 'open',
    reference,
    key,
    fingerprint,
    pins: takeFrom(usableParts(funds, now), amount),
    expiresAt: now + command.expiresInMs,
    createdAt: now,
    updatedAt: now,
  };
  const { held, openHolds } = account;
  const changed = { ...account, held: held + amount, openHolds: openHolds + 1 };
  return { kind: 'hold', hold, replayed: false, changes: holdChanges(changed, hold) };
}

/**
 * Debits a hold. What it holds is used first; more comes from what is available. After its
 * expiry it is a plain debit of what the account can cover, so that work done late is billed.
 */
export function decideCapture(state: State, command: CaptureCommand): Decision {
  const found = findHold(state, command);
  if ('kind' in found) return found;
  const { hold, account } = found;
  const early = replay(state, command) ?? unusable(state, [hold]);
  if (early !== undefined) return early;
  if (hold.status === 'captured' || hold.status === 'released') return notOpen(hold);
  const late = hold.status === 'expired';
  const wanted = command.amount ?? (late ? hold.amount - hold.captured : hold.remaining);
  const ownParts = takeFrom(hold.pins, wanted);
  const excess = wanted - sumOf(ownParts);
  const now = instantOf(state, account);
  const usable = excess > 0n ? usableParts(fundsOf(state, account, now), now) : [];
  const extraParts = takeFrom(usable, excess);
  const parts = [...ownParts, ...extraParts];
  const amount = sumOf(parts);
  if (amount === 0n || (amount < wanted && command.overage === 'refuse')) {
    return refused(uncovered(wanted, amount, 'amount'));
  }
  const kept = afterCapture(found, amount, command.final, now);
  const decision = posted(
    { ...state, accounts: new Map([...state.accounts, [account.id, kept.account]]) },
    captureDraft(state, command, hold, parts),
  );
  if (decision.kind !== 'posted') return decision;
  return { ...decision, changes: { ...decision.changes, holds: [kept.hold] } };
}

function captureDraft(state: State, command: CaptureCommand, hold: Hold, parts: Part[]) {
  const { transactionId: id, key, fingerprint, metadata } = command;
  const { accountId, reference, id: holdId } = hold;
  const amount = sumOf(parts);
  const operation = hold.status === 'expired' ? 'late_capture' : 'capture';
  return draftOf({ id, operation, reference, key, fingerprint, holdId, metadata }, [
    { accountId, amount: -amount, parts: merged(parts) },
    { accountId: state.store.redemptionId, amount },
  ]);
}

/** A grant may give a hold's part and an excess; one drawdown tells of both. */
function merged(parts: readonly Part[]): Part[] {
  const sums = new Map<string | null, bigint>();
  for (const { grantId, amount } of parts) sums.set(grantId, (sums.get(grantId) ?? 0n) + amount);
  return [...sums].map(([grantId, amount]) => ({ grantId, amount }));
}

/** The hold and its account after a capture: the rest stays held, or is released. */
function afterCapture(
  { hold, account }: { hold: Hold; account: Account },
  amount: bigint,
  final: boolean,
  updatedAt: number,
): { hold: Hold; account: Account } {
  const captured = hold.captured + amount;
  if (hold.status === 'expired') {
    const status = final || captured >= hold.amount ? 'captured' : 'expired';
    return { hold: { ...hold, captured, status, updatedAt }, account };
  }
  const pins = leaveOf(hold.pins, amount);
  const remaining = sumOf(pins);
  if (final || remaining === 0n) {
    const held = account.held - hold.remaining;
    return {
      hold: { ...endedHold(hold, 'captured', updatedAt), captured },
      account: { ...account, held, openHolds: account.openHolds - 1 },
    };
  }
  const held = account.held - hold.remaining + remaining;
  return {
    hold: { ...hold, captured, pins, remaining, updatedAt },
    account: { ...account, held },
  };
}

/** Releasing what is released, or has expired, changes nothing and is answered like the first. */
export function decideRelease(state: State, command: ReleaseCommand): Decision {
  const found = findHold(state, command);
  if ('kind' in found) return found;
  const { hold, account } = found;
  if (hold.status === 'captured') return notOpen(hold);
  if (hold.status !== 'open') return { kind: 'hold', hold, replayed: true, changes: NO_CHANGES };
  const released = endedHold(hold, 'released', instantOf(state, account));
  const { held, openHolds } = account;
  const changed = { ...account, held: held - hold.remaining, openHolds: openHolds - 1 };
  return {
    kind: 'hold',
    hold: released,
    replayed: false,
    changes: holdChanges(changed, released),
  };
}

export function decideExtend(state: State, command: ExtendCommand): Decision {
  const found = findHold(state, command);
  if ('kind' in found) return found;
  const { hold, account } = found;
  if (hold.status !== 'open') return notOpen(hold);
  const now = instantOf(state, account);
  const extended = { ...hold, expiresAt: now + command.expiresInMs, updatedAt: now };
  return {
    kind: 'hold',
    hold: extended,
    replayed: false,
    changes: holdChanges(account, extended),
  };
}

function holdChanges(account: Account, hold: Hold): Changes {
  return { ...NO_CHANGES, accounts: [account], holds: [hold] };
}

function findHold(
  state: State,
  { accountId = '', holdId }: CaptureCommand | ReleaseCommand | ExtendCommand,
): { hold: Hold; account: Account } | Decision {
  const hold = state.holds.get(accountId)?.get(holdId);
  const account = state.accounts.get(accountId);
  if (hold !== undefined && account !== undefined) return { hold, account };
  return refused(notFound('hold'));
}

function tooManyHolds(): Refusal {
  const message =
    `The account has ${OPEN_HOLDS_MAX} open holds, the most it can have. ` +
    'Capture or release some, or try again once some have expired.';
  return refuse('hold_limit_reached', message);
}

function notOpen({ status }: Hold): Decision {
  const message = `The hold is ${status}: it keeps nothing any more. Make a new hold, or a debit.`;
  return refused(refuse('hold_not_open', message));
}
