import type { Uuid } from '../id.js';
import type { Account, Grant, Hold, Part } from '../model.js';
import { type Changes, NO_CHANGES, type State } from '../state.js';
import type { Keeping } from './funds.js';

/** What holds keep. */

/**
 * Completes changes by what follows from the holds among them: what holds keep of each grant, and
 * what the account's grants have that none keeps. It is counted here alone, so that no decision
 * has to read all holds of an account, nor to count.
 */
export function withKept(state: Pick<State, 'grants' | 'holds'>, changes: Changes): Changes {
  if (changes.holds.length === 0) return changes;
  const grants = new Map<Uuid, Grant>(changes.grants.map((grant) => [grant.id, grant]));
  const freed = new Map<Uuid, bigint>();
  for (const { id, accountId, pins } of changes.holds) {
    const before = state.holds.get(accountId)?.get(id)?.pins ?? [];
    for (const [grantId, amount] of differences(before, pins)) {
      const grant = grants.get(grantId) ?? state.grants.get(accountId)?.get(grantId);
      if (grant === undefined) throw new Error('A grant of which a hold keeps was not loaded.');
      grants.set(grantId, { ...grant, held: grant.held + amount });
      freed.set(accountId, (freed.get(accountId) ?? 0n) - amount);
    }
  }
  const accounts = changes.accounts.map(
    (account): Account => ({
      ...account,
      freeInGrants: account.freeInGrants + (freed.get(account.id) ?? 0n),
    }),
  );
  return { ...changes, accounts, grants: [...grants.values()] };
}

/** By grant: how much more is kept of it afterwards than before. */
function differences(before: readonly Part[], after: readonly Part[]): Map<Uuid, bigint> {
  const more = new Map<Uuid, bigint>();
  const add = ({ grantId }: Part, amount: bigint) => {
    if (grantId !== null) more.set(grantId, (more.get(grantId) ?? 0n) + amount);
  };
  for (const part of before) add(part, -part.amount);
  for (const part of after) add(part, part.amount);
  return more;
}

/** A hold that keeps nothing any more. */
export function endedHold<H extends Keeping>(
  hold: H,
  status: 'captured' | 'released' | 'expired',
  updatedAt: number,
): H {
  return { ...hold, status, remaining: 0n, pins: [], updatedAt };
}

/** Holds of one account that expire, each at its own instant. */
export function endHolds(account: Account, ending: readonly Hold[]): Changes {
  const kept = ending.reduce((sum, { remaining }) => sum + remaining, 0n);
  const { held, openHolds } = account;
  const changed = { ...account, held: held - kept, openHolds: openHolds - ending.length };
  const holds = ending.map((hold) => endedHold(hold, 'expired', hold.expiresAt));
  return { ...NO_CHANGES, accounts: [changed], holds };
}
