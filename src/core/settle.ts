import { book } from './book.js';
import { endOf, pinnedBy } from './funds.js';
import { formatId, type Uuid } from './id.js';
import type { Account, Grant, Hold, Posting, Transaction } from './model.js';
import { type Changes, instantOf, NO_CHANGES, type State } from './state.js';

type SettleState = Omit<State, 'keys' | 'holdKeys' | 'names' | 'originals'>;

/**
 * Carries out what has fallen due on an account: holds that end, and grants that expire or were
 * voided, of which all that no hold keeps goes to breakage.
 *
 * It runs before any command sees the account, so that nothing expired is ever used, and after
 * it, so that what a command sets free of an expired grant expires at once. Each expiry bears the
 * instant at which it was due, so history is the same whenever it is written down.
 *
 * @param freed whether a command has just set free what is due: that has ended at the command's
 * instant, and not when its grant did, for until then a hold could use it.
 */
export function settle(state: SettleState, accountId: Uuid, freed = false): Changes {
  const start = state.accounts.get(accountId)!;
  const now = instantOf(state, start);
  const due = new Set<number>();
  for (const { status, expiresAt } of state.holds.get(accountId)?.values() ?? []) {
    if (status === 'open' && expiresAt <= now) due.add(freed ? now : expiresAt);
  }
  for (const grant of state.grants.get(accountId)?.values() ?? []) {
    if (grant.remaining > 0n && endOf(grant) <= now) due.add(freed ? now : endOf(grant));
  }
  if (due.size === 0) return NO_CHANGES;
  const settling = new Settling(state, start);
  for (const instant of [...due].sort((a, b) => a - b)) settling.settleAt(instant);
  return settling.changes();
}

class Settling {
  readonly #state: SettleState;
  readonly #transactions: Transaction[] = [];
  readonly #grants: Map<Uuid, Grant>;
  readonly #holds: Map<Uuid, Hold>;
  readonly #changedGrants = new Map<Uuid, Grant>();
  readonly #changedHolds = new Map<Uuid, Hold>();
  #account: Account;

  constructor(state: SettleState, account: Account) {
    this.#state = state;
    this.#account = account;
    this.#grants = new Map(state.grants.get(account.id));
    this.#holds = new Map(state.holds.get(account.id));
  }

  settleAt(instant: number): void {
    for (const hold of this.#holds.values()) {
      if (hold.status === 'open' && hold.expiresAt <= instant) this.#endHold(hold);
    }
    const pinned = pinnedBy(this.#holds.values());
    const ended: Grant[] = [];
    for (const grant of this.#grants.values()) {
      if (endOf(grant) <= instant && grant.remaining > (pinned.get(grant.id) ?? 0n)) {
        ended.push(grant);
      }
    }
    const voided = ended.filter(({ voidedAt }) => voidedAt !== null);
    const expired = ended.filter(({ voidedAt }) => voidedAt === null);
    if (voided.length > 0) this.#forfeit('void', voided, pinned, instant);
    if (expired.length > 0) this.#forfeit('expire', expired, pinned, instant);
  }

  changes(): Changes {
    const grants = [...this.#changedGrants.values()];
    const holds = [...this.#changedHolds.values()];
    const moved = this.#transactions.length > 0 || holds.length > 0;
    return {
      transactions: this.#transactions,
      accounts: moved ? [this.#account] : [],
      grants,
      holds,
    };
  }

  #endHold(hold: Hold): void {
    const { held, openHolds } = this.#account;
    const ended = endedHold(hold, 'expired', hold.expiresAt);
    this.#account = { ...this.#account, held: held - hold.remaining, openHolds: openHolds - 1 };
    this.#holds.set(hold.id, ended);
    this.#changedHolds.set(hold.id, ended);
  }

  /** One transaction for all grants that ended at one instant for one reason. */
  #forfeit(
    operation: 'expire' | 'void',
    grants: readonly Grant[],
    pinned: ReadonlyMap<Uuid | null, bigint>,
    at: number,
  ): void {
    const parts = grants.map(({ id, remaining }) => ({
      grantId: id,
      amount: remaining - (pinned.get(id) ?? 0n),
    }));
    const amount = parts.reduce((sum, part) => sum + part.amount, 0n);
    const id = this.#state.newId();
    const postings: Posting[] = [
      { accountId: this.#account.id, amount: -amount, parts },
      { accountId: this.#state.store.breakageId, amount },
    ];
    const accounts = new Map([[this.#account.id, this.#account]]);
    const byAccount = new Map([[this.#account.id, this.#grants]]);
    const booked = book(
      { ...this.#state, now: at, accounts, grants: byAccount },
      {
        id,
        operation,
        reference: operation === 'expire' ? 'expired' : 'voided',
        key: `${operation}:${formatId('transaction', id)}`,
        fingerprint: id,
        reversalOf: null,
        holdId: null,
        metadata: null,
        postings,
      },
    );
    if ('refusal' in booked) throw new Error('What a grant has left is always in the balance.');
    this.#account = booked.changes.accounts[0]!;
    this.#transactions.push(booked.transaction);
    for (const grant of booked.changes.grants) {
      this.#grants.set(grant.id, grant);
      this.#changedGrants.set(grant.id, grant);
    }
  }
}

/** A hold that keeps nothing any more. */
export function endedHold(
  hold: Hold,
  status: 'captured' | 'released' | 'expired',
  updatedAt: number,
): Hold {
  return { ...hold, status, remaining: 0n, pins: [], updatedAt };
}
