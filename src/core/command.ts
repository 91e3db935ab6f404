import { formatId, type Uuid } from './id.js';
import type { Posting } from './model.js';

/**
 * What the ledger can be asked to do. The ids of what a command will create come with it, so
 * that a command that is tried again after a lost connection recognises its own work.
 */
export type Command = OpenCommand | PostingCommand | StatusCommand;

export type PostingCommand = MoveCommand | PostCommand | ReverseCommand;

/** Opens an account, and seeds it in the same transaction where `initialBalance` is not zero. */
export interface OpenCommand {
  readonly kind: 'open';
  readonly accountId: Uuid;
  readonly customerId: string;
  readonly name: string;
  readonly unitLabel: string;
  readonly initialBalance: bigint;
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** A plain credit or debit of one account against a system account. */
export interface MoveCommand {
  readonly kind: 'credit' | 'debit';
  readonly accountId: Uuid;
  readonly amount: bigint;
  readonly reference: string;
  readonly key: string;
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** A balanced transaction over any customer accounts of one store. */
export interface PostCommand {
  readonly kind: 'post';
  readonly postings: readonly Posting[];
  readonly reference: string;
  readonly key: string;
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** Posts the opposite of a whole transaction. */
export interface ReverseCommand {
  readonly kind: 'reverse';
  readonly originalId: Uuid;
  /** Where given, the original must touch this account (contract Q8). */
  readonly accountId: Uuid | undefined;
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

export interface StatusCommand {
  readonly kind: 'freeze' | 'unfreeze' | 'close';
  readonly accountId: Uuid;
}

/** Keys that the ledger makes itself; a caller's key of this form is refused (contract Q6). */
const RESERVED_KEY = /^(reversal:cct_|initial_balance:cca_)/;

export function isReservedKey(key: string): boolean {
  return RESERVED_KEY.test(key);
}

/** The key under which a command is recognised when it comes again; undefined where it has none. */
export function keyOf(command: Command): string | undefined {
  switch (command.kind) {
    case 'credit':
    case 'debit':
    case 'post':
      return command.key;
    case 'reverse':
      return `reversal:${formatId('transaction', command.originalId)}`;
    default:
      return undefined;
  }
}

/** The key of an account's seed (contract Q6). */
export function seedKey(accountId: Uuid): string {
  return `initial_balance:${formatId('account', accountId)}`;
}

/** The accounts that a command names itself; a reversal's others come from its original. */
export function accountsNamed(command: Command): readonly Uuid[] {
  switch (command.kind) {
    case 'open':
      return [];
    case 'post':
      return command.postings.map((posting) => posting.accountId);
    case 'reverse':
      return command.accountId === undefined ? [] : [command.accountId];
    default:
      return [command.accountId];
  }
}

/**
 * The text whose hash is a command's fingerprint: two requests with one key are the same request
 * exactly where these texts are equal (contract Q14).
 */
export function canonicalForm(command: MoveFields | PostFields): string {
  if (command.kind === 'post') {
    const lines = command.postings.map((line) => [line.accountId, line.amount.toString()]);
    return JSON.stringify(['post', command.reference, lines]);
  }
  const { kind, accountId, amount, reference } = command;
  return JSON.stringify([kind, accountId, amount.toString(), reference]);
}

type Unprinted<Fields> = Omit<Fields, 'fingerprint' | 'transactionId' | 'key'>;
type MoveFields = Unprinted<MoveCommand>;
type PostFields = Unprinted<PostCommand>;
