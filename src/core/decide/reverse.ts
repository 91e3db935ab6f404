import { keyOf, type ReverseCommand } from '../command.js';
import { notFound, refuse } from '../errors.js';
import { freeOf, freeOfPool } from '../funds/funds.js';
import type { Uuid } from '../id.js';
import type { Account, Entry, Grant, Part, Posting, Transaction } from '../model.js';
import type { Decision, State } from '../state.js';
import { draftOf } from './book.js';
import { missingAccount, posted, refused, replayOrOwn, unusable } from './checks.js';

/** Posts the opposite of a whole transaction, once (contract section 2.6). */
export function decideReverse(state: State, command: ReverseCommand): Decision {
  const original = state.originals.get(command.originalId);
  if (command.accountId !== undefined) {
    const missing = missingAccount(state, [command.accountId]);
    if (missing !== undefined) return missing;
  }
  const touches = original?.entries.some((entry) => entry.accountId === command.accountId);
  if (original === undefined || (command.accountId !== undefined && !touches)) {
    const where = command.accountId === undefined ? 'in this store' : 'on this account';
    return refused(notFound('transaction', 'original', where));
  }
  const key = keyOf(command)!;
  const existing = state.keys.get(key);
  if (existing !== undefined) return replayOrOwn(existing, command.transactionId);
  if (IRREVERSIBLE.has(original.operation)) {
    const message =
      'Reversals, expiries and voids cannot be reversed. Post the movement anew as a transaction.';
    return refused(refuse('transaction_not_reversible', message, 'original'));
  }
  const postings = original.entries.map((entry) => reversed(state, original, entry));
  const draft = draftOf(
    {
      id: command.transactionId,
      operation: 'reverse',
      reference: original.reference,
      key,
      fingerprint: command.fingerprint,
      reversalOf: original.id,
    },
    postings,
  );
  return unusable(state, postings) ?? takenBack(state, postings) ?? posted(state, draft);
}

const IRREVERSIBLE = new Set(['reverse', 'expire', 'void']);

/**
 * A line's opposite, against what the line itself drew or made, never against today's order of
 * use: what came from a grant goes back into it, and what made a grant is taken from it.
 */
function reversed(state: State, original: Transaction, entry: Entry): Posting {
  const { accountId, line } = entry;
  const amount = -entry.amount;
  const account = state.accounts.get(accountId);
  if (account === undefined || !account.hasGrants) return { accountId, amount };
  if (amount > 0n) {
    const drawn = original.drawdowns.filter((drawdown) => drawdown.line === line);
    const parts = drawn.map(({ grantId, amount: part }): Part => ({ grantId, amount: -part }));
    return { accountId, amount, parts };
  }
  const made = [...(state.grants.get(accountId)?.values() ?? [])].find(
    (grant) => grant.transactionId === original.id,
  );
  return { accountId, amount, parts: [{ grantId: made?.id ?? null, amount: -amount }] };
}

/** Refuses where what a credit brought has been used, held or forfeited since. */
function takenBack(state: State, postings: readonly Posting[]): Decision | undefined {
  for (const account of state.accounts.values()) {
    if (!account.hasGrants) continue;
    const own = postings.filter((posting) => posting.accountId === account.id);
    const needed = new Map<Uuid | null, bigint>();
    for (const { amount, parts = [] } of own) {
      const returned = parts.reduce((sum, part) => sum - part.amount, 0n);
      // What a credit does not put back into grants goes to the pool, and is there to be taken.
      const pool = amount > 0n ? returned - amount : 0n;
      needed.set(null, (needed.get(null) ?? 0n) + pool);
      for (const { grantId, amount: part } of amount < 0n ? parts : []) {
        needed.set(grantId, (needed.get(grantId) ?? 0n) + part);
      }
    }
    const refusal = shortOf(state, account, needed);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function shortOf(
  state: State,
  account: Account,
  needed: ReadonlyMap<Uuid | null, bigint>,
): Decision | undefined {
  const grants = state.grants.get(account.id);
  for (const [grantId, amount] of needed) {
    const free = grantId === null ? freeOfPool(account) : freeOfGrant(grants?.get(grantId));
    if (amount <= 0n || amount <= free) continue;
    const message = `Insufficient balance: ${amount} to take back, ${free} of it left unused.`;
    return refused(refuse('insufficient_balance', message, 'original'));
  }
  return undefined;
}

/** What is not there has nothing left to be taken back. */
function freeOfGrant(grant: Grant | undefined): bigint {
  return grant === undefined ? 0n : freeOf(grant);
}
