import type { Outcome, Store } from '../../ledger/index.js';
import { presentGrant, presentHold } from '../present/funds.js';
import { presentAccount, presentTransaction } from '../present/present.js';

/** Turns outcomes into replies; another kind than the operation's is a fault of ours. */

export function accountReply(store: Store, outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind === 'account') return { body: presentAccount(store, outcome.account) };
  throw new Error(`An account was expected, not ${outcome.kind}.`);
}

export function transactionReply(store: Store, outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind !== 'transaction') {
    throw new Error(`A transaction was expected, not ${outcome.kind}.`);
  }
  const body = presentTransaction(store, outcome.transaction);
  return { body, replayed: outcome.replayed };
}

export function holdReply(outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind !== 'hold') throw new Error(`A hold was expected, not ${outcome.kind}.`);
  const { hold, replayed } = outcome;
  return { body: presentHold(hold), replayed };
}

export function grantReply(outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind !== 'grant') throw new Error(`A grant was expected, not ${outcome.kind}.`);
  const { grant, voided } = outcome;
  return { body: presentGrant(grant, grant.createdAt, voided) };
}
