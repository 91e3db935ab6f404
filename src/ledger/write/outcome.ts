import type { Refusal } from '../../core/errors.js';
import type { Uuid } from '../../core/id.js';
import type { Account, Grant, Hold, Transaction, Void } from '../../core/model.js';
import type { Decision } from '../../core/state.js';
import type { Batch } from './batch.js';

/** What became of a command. A refusal is a value; nothing on the write path raises one. */
export type Outcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'account'; readonly account: Account }
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly replayed: boolean }
  | { readonly kind: 'hold'; readonly hold: Hold; readonly replayed: boolean }
  /** `voided` is undefined where holds kept all of the grant. */
  | { readonly kind: 'grant'; readonly grant: Grant; readonly voided: Void | undefined }
  | {
      readonly kind: 'settled';
      readonly transactions: readonly Transaction[];
      readonly holdsExpired: number;
      readonly grantsAnnounced: number;
    }
  /** It would have been carried out, but a later one of its atomic batch was refused. */
  | { readonly kind: 'undone' };

export const UNDONE: Outcome = { kind: 'undone' };

/** Not carried out, because others have locked these accounts. */
export interface Busy {
  readonly kind: 'busy';
  readonly accountIds: readonly Uuid[];
}

/** What outcomes tell that was read once all was committed. */
export interface Read {
  readonly found: ReadonlyMap<Uuid, Transaction>;
  readonly voids: ReadonlyMap<Uuid, Void>;
}

export function toOutcome(
  decision: Decision | Busy,
  { found, voids }: Read,
  batches: readonly Batch[],
): Outcome | Busy {
  switch (decision.kind) {
    case 'refused':
    case 'busy':
      return decision;
    case 'found': {
      const transaction = found.get(decision.transactionId)!;
      return { kind: 'transaction', transaction, replayed: decision.replayed };
    }
    case 'posted':
      return { kind: 'transaction', transaction: decision.transaction, replayed: false };
    case 'hold':
      return { kind: 'hold', hold: decision.hold, replayed: decision.replayed };
    case 'grant':
      return { kind: 'grant', grant: decision.grant, voided: voids.get(decision.grant.id) };
    case 'settled':
      return settledOf(batches, decision.accountId, decision.changes.grants.length);
    default:
      return { kind: 'account', account: decision.account };
  }
}

/** What fell due on an account: the settling came before the command itself. */
function settledOf(batches: readonly Batch[], accountId: Uuid, grantsAnnounced: number): Outcome {
  const all = batches.flatMap((batch) => batch.transactions);
  const transactions = all.filter(
    ({ operation, entries }) =>
      (operation === 'expire' || operation === 'void') && entries[0]?.accountId === accountId,
  );
  const holds = batches.flatMap((batch) => [...batch.writes.of('holds').values()]);
  const holdsExpired = holds.filter(
    (hold) => hold.accountId === accountId && hold.status === 'expired',
  ).length;
  return { kind: 'settled', transactions, holdsExpired, grantsAnnounced };
}
