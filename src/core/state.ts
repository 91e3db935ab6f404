import type { Refusal } from './errors.js';
import type { Uuid } from './id.js';
import { type Account, nameKey, type Store, type Transaction } from './model.js';

/** The state that a batch's commands are decided on: what was locked and found, nothing else. */
export interface State {
  readonly store: Store;
  /** The instant at which the batch took its locks. */
  readonly now: number;
  readonly accounts: ReadonlyMap<Uuid, Account>;
  /** Who holds a key already, of the keys that the batch's commands carry. */
  readonly keys: ReadonlyMap<string, KeyHolder>;
  /** Whose a name is already, by `nameOwnerKey`, of the names that the batch wants to open. */
  readonly names: ReadonlyMap<string, Account>;
  /** The transactions that the batch wants to reverse. */
  readonly originals: ReadonlyMap<Uuid, Transaction>;
}

export interface KeyHolder {
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** What a command comes to. A refusal changes nothing and binds no key (contract Q13). */
export type Decision =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'found'; readonly transactionId: Uuid; readonly replayed: boolean }
  | { readonly kind: 'posted'; readonly transaction: Transaction; readonly accounts: Account[] }
  | { readonly kind: 'opened'; readonly account: Account; readonly seed: Transaction | null }
  | { readonly kind: 'reopened'; readonly account: Account }
  | { readonly kind: 'restated'; readonly account: Account };

/** Under which a name is unique: per customer, trimmed and case-insensitive. */
export function nameOwnerKey(customerId: string, name: string): string {
  return JSON.stringify([customerId, nameKey(name)]);
}
