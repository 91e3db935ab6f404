import { book, type Draft } from './book.js';
import {
  missingAccount,
  refused,
  replay,
  replayOrOwn,
  unbalanced,
  uncovered,
  unusable,
} from './checks.js';
import {
  type Command,
  keyOf,
  type MoveCommand,
  type OpenCommand,
  type PostCommand,
  type ReverseCommand,
  type StatusCommand,
  seedKey,
} from './command.js';
import { refuse } from './errors.js';
import type { Account } from './model.js';
import { type Decision, nameOwnerKey, type State } from './state.js';

/**
 * Decides one command on locked state: pure, total and without clock or I/O. The order of the
 * checks is that of `ERROR_TABLE`.
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
    default:
      return decideStatus(state, command);
  }
}

function decideOpen(state: State, command: OpenCommand): Decision {
  const owner = state.names.get(nameOwnerKey(command.customerId, command.name));
  if (owner?.id === command.accountId) return { kind: 'reopened', account: owner };
  if (owner !== undefined) {
    const message = `This customer already has an account named "${owner.name}". Use it, or choose another name.`;
    return refused(refuse('account_name_taken', message, 'name'));
  }
  const account: Account = {
    id: command.accountId,
    customerId: command.customerId,
    name: command.name.trim(),
    unitLabel: command.unitLabel,
    status: 'active',
    balance: 0n,
    version: 0,
    createdAt: state.now,
    updatedAt: state.now,
    postedAt: state.now,
  };
  if (command.initialBalance === 0n) return { kind: 'opened', account, seed: null };
  const { transaction, accounts } = book(new Map([[account.id, account]]), state.now, {
    id: command.transactionId,
    operation: 'seed',
    reference: 'initial_balance',
    key: seedKey(account.id),
    fingerprint: command.fingerprint,
    reversalOf: null,
    postings: [
      { accountId: account.id, amount: command.initialBalance },
      { accountId: state.store.issuanceId, amount: -command.initialBalance },
    ],
  });
  return { kind: 'opened', account: accounts[0]!, seed: transaction };
}

function decideMove(state: State, command: MoveCommand): Decision {
  const { store } = state;
  const credit = command.kind === 'credit';
  const amount = credit ? command.amount : -command.amount;
  const counterpart = credit ? store.issuanceId : store.redemptionId;
  const postings = [
    { accountId: command.accountId, amount },
    { accountId: counterpart, amount: -amount },
  ];
  return (
    missingAccount(state, [command.accountId]) ??
    replay(state, command) ??
    unusable(state, postings) ??
    uncovered(state, postings) ??
    posted(state, { ...identity(command), operation: command.kind, reversalOf: null, postings })
  );
}

function decidePost(state: State, command: PostCommand): Decision {
  const { postings } = command;
  const accountIds = postings.map((posting) => posting.accountId);
  return (
    missingAccount(state, accountIds, (index) => `entries[${index}].account_id`) ??
    replay(state, command) ??
    unusable(state, postings) ??
    unbalanced(postings) ??
    uncovered(state, postings) ??
    posted(state, { ...identity(command), operation: 'post', reversalOf: null, postings })
  );
}

function decideReverse(state: State, command: ReverseCommand): Decision {
  const original = state.originals.get(command.originalId);
  if (command.accountId !== undefined) {
    const missing = missingAccount(state, [command.accountId]);
    if (missing !== undefined) return missing;
  }
  const touches = original?.entries.some((entry) => entry.accountId === command.accountId);
  if (original === undefined || (command.accountId !== undefined && !touches)) {
    const where = command.accountId === undefined ? 'in this store' : 'on this account';
    const message = `There is no such transaction ${where}. Check the transaction's id.`;
    return refused(refuse('transaction_not_found', message, 'transaction_id'));
  }
  const key = keyOf(command)!;
  const existing = state.keys.get(key);
  if (existing !== undefined) return replayOrOwn(existing, command.transactionId);
  if (original.operation === 'reverse') {
    const message =
      'A reversal cannot be reversed. Post the original movement again as a new transaction.';
    return refused(refuse('transaction_not_reversible', message, 'transaction_id'));
  }
  const postings = original.entries.map(({ accountId, amount }) => ({
    accountId,
    amount: -amount,
  }));
  return (
    unusable(state, postings) ??
    uncovered(state, postings) ??
    posted(state, {
      id: command.transactionId,
      operation: 'reverse',
      reference: original.reference,
      key,
      fingerprint: command.fingerprint,
      reversalOf: original.id,
      postings,
    })
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
  const status = ({ freeze: 'frozen', unfreeze: 'active', close: 'closed' } as const)[command.kind];
  const updatedAt = Math.max(state.now, account.updatedAt);
  return { kind: 'restated', account: { ...account, status, updatedAt } };
}

function identity(command: MoveCommand | PostCommand) {
  const { transactionId: id, reference, key, fingerprint } = command;
  return { id, reference, key, fingerprint };
}

function posted(state: State, draft: Draft): Decision {
  return { kind: 'posted', ...book(state.accounts, state.now, draft) };
}
