import {
  type Command,
  type GrantTerms,
  type MoveCommand,
  type OpenCommand,
  type PostCommand,
  type SettleCommand,
  type StatusCommand,
  seedKey,
  type VoidCommand,
} from '../command.js';
import { notFound, refuse } from '../errors.js';
import { grantStatus } from '../funds/due.js';
import { OPEN_GRANTS_MAX } from '../funds/funds.js';
import { fundsOf } from '../funds/position.js';
import type { Account, Grant, Posting } from '../model.js';
import { type Decision, instantOf, NO_CHANGES, nameOwnerKey, type State } from '../state.js';
import { type Draft, draftOf } from './book.js';
import { missingAccount, posted, refused, replay, unbalanced, unusable } from './checks.js';
import { decideCapture, decideExtend, decideHold, decideRelease } from './holds.js';
import { decideReverse } from './reverse.js';

/**
 * Decides one command on locked and settled state: pure, total and without clock or I/O. The
 * order of the checks is that of `ERROR_TABLE`.
 */
export function decide(state: State, command: Command): Decision {
  switch (command.kind) {
    case 'open':
      return decideOpen(state, command);
    case 'credit':
    case 'debit':
      return decideMove(state, command);
    case 'post':
      return decidePost(state, command);
    case 'reverse':
      return decideReverse(state, command);
    case 'hold':
      return decideHold(state, command);
    case 'capture':
      return decideCapture(state, command);
    case 'release':
      return decideRelease(state, command);
    case 'extend':
      return decideExtend(state, command);
    case 'void':
      return decideVoid(state, command);
    case 'settle':
      return decideSettle(state, command);
    default:
      return decideStatus(state, command);
  }
}

function decideOpen(state: State, command: OpenCommand): Decision {
  const owner = state.names.get(nameOwnerKey(command.customerId, command.name));
  if (owner?.id === command.accountId) {
    return { kind: 'account', account: owner, changes: NO_CHANGES };
  }
  if (owner !== undefined) {
    const message = `This customer already has an account named "${owner.name}". Use it, or choose another name.`;
    return refused(refuse('account_name_taken', message, 'name'));
  }
  const { now } = state;
  const account: Account = {
    id: command.accountId,
    customerId: command.customerId,
    name: command.name.trim(),
    unitLabel: command.unitLabel,
    status: 'active',
    balance: 0n,
    version: 0,
    createdAt: now,
    updatedAt: now,
    postedAt: now,
    held: 0n,
    freeInGrants: 0n,
    openGrants: 0,
    openHolds: 0,
    hasGrants: false,
    metadata: command.metadata,
  };
  if (command.initialBalance === 0n) return { kind: 'opened', account, changes: NO_CHANGES };
  const seed = postAndGrant(
    { ...state, accounts: new Map([[account.id, account]]) },
    draftOf(
      {
        id: command.transactionId,
        operation: 'seed',
        reference: 'initial_balance',
        key: seedKey(account.id),
        fingerprint: command.fingerprint,
      },
      [
        { accountId: account.id, amount: command.initialBalance },
        { accountId: state.store.issuanceId, amount: -command.initialBalance },
      ],
    ),
    command.terms,
  );
  if (seed.kind !== 'posted') return seed;
  return { kind: 'opened', account: seed.changes.accounts[0]!, changes: seed.changes };
}

function decideMove(state: State, command: MoveCommand): Decision {
  const { store } = state;
  const { accountId, terms } = command;
  const credit = command.kind === 'credit';
  const amount = credit ? command.amount : -command.amount;
  const counterpart = credit ? store.issuanceId : store.redemptionId;
  const postings = [
    { accountId, amount },
    { accountId: counterpart, amount: -amount },
  ];
  return (
    missingAccount(state, [accountId]) ??
    replay(state, command) ??
    unusable(state, postings) ??
    postAndGrant(state, draftOfMovement(command, postings), terms)
  );
}

/** Posts, and makes a grant of what was credited where it has terms. */
function postAndGrant(state: State, draft: Draft, terms: GrantTerms | undefined): Decision {
  const decision = posted(state, draft);
  if (terms === undefined || decision.kind !== 'posted') return decision;
  const { transaction, changes } = decision;
  const { createdAt } = transaction;
  const effectiveAt = terms.effectiveAt ?? createdAt;
  // Credits cannot have counted before they were there: the history says that they did not.
  if (effectiveAt < createdAt) {
    const message =
      `Credits cannot begin to count before now, which is ${new Date(createdAt).toISOString()}. ` +
      'Leave their beginning out where they are to count at once.';
    return refused(refuse('validation_error', message, 'start'));
  }
  if (terms.expiresAt !== null && terms.expiresAt <= Math.max(createdAt, effectiveAt)) {
    const message = 'Credits must expire in the future, and after they begin. Send a later time.';
    return refused(refuse('validation_error', message, 'expiry'));
  }
  const { accountId, amount } = draft.postings[0]!;
  if (changes.accounts.some(({ openGrants }) => openGrants >= OPEN_GRANTS_MAX)) {
    const message =
      `The account has ${OPEN_GRANTS_MAX} grants with something left, the most it can have. ` +
      'Credit it without terms, or once some are used up, voided or expired.';
    return refused(refuse('grant_limit_reached', message));
  }
  const grant: Grant = {
    id: terms.grantId,
    accountId,
    transactionId: transaction.id,
    amount,
    remaining: amount,
    held: 0n,
    priority: terms.priority,
    category: terms.category,
    effectiveAt,
    expiresAt: terms.expiresAt,
    voidedAt: null,
    announcedAt: null,
    createdAt,
  };
  const accounts = changes.accounts.map((account) => ({
    ...account,
    freeInGrants: account.freeInGrants + amount,
    openGrants: account.openGrants + 1,
    hasGrants: true,
  }));
  return { ...decision, changes: { ...changes, accounts, grants: [grant] } };
}

function decidePost(state: State, command: PostCommand): Decision {
  const { postings } = command;
  const accountIds = postings.map((posting) => posting.accountId);
  return (
    missingAccount(state, accountIds, (posting) => ({ of: 'account', posting })) ??
    replay(state, command) ??
    unusable(state, postings) ??
    unbalanced(postings) ??
    posted(state, draftOfMovement(command, postings))
  );
}

function decideStatus(state: State, command: StatusCommand): Decision {
  const missing = missingAccount(state, [command.accountId]);
  if (missing !== undefined) return missing;
  const account = state.accounts.get(command.accountId)!;
  if (account.status === 'closed') {
    const message = 'The account is closed, and closing is final. Open a new account instead.';
    return refused(refuse('account_closed', message));
  }
  if (command.kind === 'freeze' && account.status === 'frozen') {
    return refused(refuse('account_frozen', 'The account is frozen already. Nothing to do.'));
  }
  if (command.kind === 'unfreeze' && account.status !== 'frozen') {
    const message = 'The account is not frozen. Nothing to do.';
    return refused(refuse('account_not_frozen', message));
  }
  if (command.kind === 'close' && account.openHolds > 0) {
    const message = `The account has ${account.openHolds} open holds. Capture or release them first.`;
    return refused(refuse('open_holds', message));
  }
  const status = ({ freeze: 'frozen', unfreeze: 'active', close: 'closed' } as const)[command.kind];
  const changed = { ...account, status, updatedAt: Math.max(state.now, account.updatedAt) };
  return { kind: 'account', account: changed, changes: { ...NO_CHANGES, accounts: [changed] } };
}

/** What is due is settled before any command; what is left to do is to announce expiries. */
function decideSettle(state: State, { accountId, aheadMs }: SettleCommand): Decision {
  const account = state.accounts.get(accountId);
  if (account === undefined) return missingAccount(state, [accountId])!;
  const now = instantOf(state, account);
  const near = fundsOf(state, account, now).grants.filter(
    ({ announcedAt, expiresAt, voidedAt, remaining }) =>
      announcedAt === null &&
      voidedAt === null &&
      remaining > 0n &&
      expiresAt !== null &&
      expiresAt > now &&
      expiresAt <= now + aheadMs,
  );
  const grants = near.map((grant) => ({ ...grant, announcedAt: now }));
  return { kind: 'settled', accountId, changes: { ...NO_CHANGES, grants } };
}

/** The grant ends now; `settle`, which comes after every command, sends what is left away. */
function decideVoid(state: State, { accountId = '', grantId }: VoidCommand): Decision {
  const grant = state.grants.get(accountId)?.get(grantId);
  const account = state.accounts.get(accountId);
  if (grant === undefined || account === undefined) {
    return refused(notFound('grant'));
  }
  if (grant.voidedAt !== null) return { kind: 'grant', grant, changes: NO_CHANGES };
  if (account.status === 'closed') return unusable(state, [{ accountId }])!;
  // What a hold keeps of an expired grant is that hold's, and goes when the hold ends.
  const status = grantStatus(grant, instantOf(state, account));
  if (status === 'depleted' || status === 'expired') {
    const message = 'Nothing is left of this grant: it is used up or has expired.';
    return refused(refuse('grant_not_open', message));
  }
  const voided = { ...grant, voidedAt: instantOf(state, account) };
  return { kind: 'grant', grant: voided, changes: { ...NO_CHANGES, grants: [voided] } };
}

function draftOfMovement(command: MoveCommand | PostCommand, postings: readonly Posting[]): Draft {
  const { kind: operation, transactionId: id, key, fingerprint, remarks } = command;
  return draftOf({ ...remarks, id, operation, key, fingerprint }, postings);
}
