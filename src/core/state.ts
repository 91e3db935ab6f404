import type { Refusal } from './errors.js';
import type { Beginning } from './funds/funds.js';
import type { Uuid } from './id.js';
import {
  type Account,
  type Grant,
  type Hold,
  nameKey,
  type Store,
  type Transaction,
} from './model.js';

/** The state that a batch's commands are decided on: what was locked and found, nothing else. */
export interface State {
  readonly store: Store;
  /** The instant at which the batch took its locks, or the test store's own. */
  readonly now: number;
  /** Makes the ids of what no command names, such as an expiry. */
  readonly newId: () => Uuid;
  readonly accounts: ReadonlyMap<Uuid, Account>;
  /**
   * By account, in the order of use: those that have ended, those that a command names or that
   * the holds here keep, and of all others as many as the commands can reach.
   */
  readonly grants: ReadonlyMap<Uuid, ReadonlyMap<Uuid, Grant>>;
  /** By account: what comes into effect of its other grants. */
  readonly pending: ReadonlyMap<Uuid, readonly Beginning[]>;
  /** By account: the open holds that have ended, and those that a command names. */
  readonly holds: ReadonlyMap<Uuid, ReadonlyMap<Uuid, Hold>>;
  /** Who has a key already, of the keys that the batch's commands carry. */
  readonly keys: ReadonlyMap<string, KeyHolder>;
  /** The same for the keys of holds, which are apart. */
  readonly holdKeys: ReadonlyMap<string, Hold>;
  /** Whose a name is already, by `nameOwnerKey`, of the names that the batch wants to open. */
  readonly names: ReadonlyMap<string, Account>;
  /** The transactions that the batch wants to reverse. */
  readonly originals: ReadonlyMap<Uuid, Transaction>;
}

export interface KeyHolder {
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** What a decision changes: each object as it is afterwards. */
export interface Changes {
  readonly transactions: readonly Transaction[];
  readonly accounts: readonly Account[];
  readonly grants: readonly Grant[];
  readonly holds: readonly Hold[];
}

export const NO_CHANGES: Changes = { transactions: [], accounts: [], grants: [], holds: [] };

/** What a command comes to. A refusal changes nothing and binds no key (contract Q13). */
export type Decision =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'found'; readonly transactionId: Uuid; readonly replayed: boolean }
  | {
      readonly kind: 'posted';
      readonly transaction: Transaction;
      readonly changes: Changes;
    }
  | { readonly kind: 'opened'; readonly account: Account; readonly changes: Changes }
  | { readonly kind: 'account'; readonly account: Account; readonly changes: Changes }
  | {
      readonly kind: 'hold';
      readonly hold: Hold;
      readonly replayed: boolean;
      readonly changes: Changes;
    }
  | { readonly kind: 'grant'; readonly grant: Grant; readonly changes: Changes }
  | { readonly kind: 'settled'; readonly accountId: Uuid; readonly changes: Changes };

/** Under which a name is unique: per customer, trimmed and case-insensitive. */
export function nameOwnerKey(customerId: string, name: string): string {
  return JSON.stringify([customerId, nameKey(name)]);
}

/** Whether an account's funds are more than one pool. */
export function hasParts(account: Account): boolean {
  return account.openGrants > 0 || account.openHolds > 0;
}

/** The instant at which things happen to an account: its time never runs backwards. */
export function instantOf(state: Pick<State, 'now'>, account: Account): number {
  return Math.max(state.now, account.postedAt);
}
