import { formatId, type Uuid } from './id.js';
import type { GrantCategory, Metadata, Posting, Remarks } from './model.js';

/**
 * What the ledger can be asked to do. The ids of what a command will create come with it, so
 * that a command that is tried again after a lost connection recognises its own work.
 */
export type Command =
  | OpenCommand
  | MoveCommand
  | PostCommand
  | ReverseCommand
  | StatusCommand
  | HoldCommand
  | CaptureCommand
  | ReleaseCommand
  | ExtendCommand
  | VoidCommand
  | SettleCommand;

/** What makes a credit a grant; where all is left out it goes to the general pool. */
export interface GrantTerms {
  readonly grantId: Uuid;
  readonly priority: number;
  readonly category: GrantCategory;
  /** Undefined for at once. */
  readonly effectiveAt: number | undefined;
  readonly expiresAt: number | null;
}

/** By what a command is recognised where its key comes again. */
export interface Prints {
  readonly fingerprint: Uuid;
  /** That of the form which it had before, where that differs. */
  readonly formerFingerprint?: Uuid | undefined;
}

/** Opens an account, and seeds it in the same transaction where `initialBalance` is not zero. */
export interface OpenCommand {
  readonly kind: 'open';
  readonly accountId: Uuid;
  readonly customerId: string;
  readonly name: string;
  readonly unitLabel: string;
  readonly initialBalance: bigint;
  readonly terms: GrantTerms | undefined;
  readonly metadata: Metadata | null;
  readonly transactionId: Uuid;
  readonly fingerprint: Uuid;
}

/** A plain credit or debit of one account against a system account. */
export interface MoveCommand extends Prints {
  readonly kind: 'credit' | 'debit';
  readonly accountId: Uuid;
  readonly amount: bigint;
  /** Only a credit can have terms. */
  readonly terms: GrantTerms | undefined;
  readonly remarks: Remarks;
  readonly key: string;
  readonly transactionId: Uuid;
}

/** A balanced transaction over any customer accounts of one store. */
export interface PostCommand extends Prints {
  readonly kind: 'post';
  readonly postings: readonly Posting[];
  readonly remarks: Remarks;
  readonly key: string;
  readonly transactionId: Uuid;
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

/** Sets an amount aside for a time. */
export interface HoldCommand {
  readonly kind: 'hold';
  readonly holdId: Uuid;
  readonly accountId: Uuid;
  readonly amount: bigint;
  readonly expiresInMs: number;
  readonly reference: string;
  /** Unique among the store's holds. */
  readonly key: string;
  readonly fingerprint: Uuid;
}

/** Debits what was held, or less, or more. */
export interface CaptureCommand extends Prints {
  readonly kind: 'capture';
  readonly holdId: Uuid;
  /** Whose it is, once that has been looked up; undefined where it is unknown. */
  readonly accountId: Uuid | undefined;
  /** All that is held where undefined. */
  readonly amount: bigint | undefined;
  /** What to do where more is captured than held and available: refuse, or take what is there. */
  readonly overage: 'refuse' | 'cap';
  /** Whether what is not captured is released. */
  readonly final: boolean;
  readonly metadata: Metadata | null;
  readonly key: string;
  readonly transactionId: Uuid;
}

export interface ReleaseCommand {
  readonly kind: 'release';
  readonly holdId: Uuid;
  /** Whose it is, once that has been looked up; undefined where it is unknown. */
  readonly accountId: Uuid | undefined;
}

/** Moves a hold's expiry to so long after now. */
export interface ExtendCommand {
  readonly kind: 'extend';
  readonly holdId: Uuid;
  /** Whose it is, once that has been looked up; undefined where it is unknown. */
  readonly accountId: Uuid | undefined;
  readonly expiresInMs: number;
}

/** Ends a grant now; what is left of it goes to breakage. */
export interface VoidCommand {
  readonly kind: 'void';
  readonly grantId: Uuid;
  /** Whose it is, once that has been looked up; undefined where it is unknown. */
  readonly accountId: Uuid | undefined;
}

/** Carries out what has fallen due on an account. */
export interface SettleCommand {
  readonly kind: 'settle';
  readonly accountId: Uuid;
  /** Grants whose expiry is nearer than this are announced. */
  readonly aheadMs: number;
}

/** Keys that the ledger makes itself; a caller's key of this form is refused (contract Q6). */
const RESERVED_KEY = /^(reversal:cct_|initial_balance:cca_|expire:cct_|void:cct_)/;

export function isReservedKey(key: string): boolean {
  return RESERVED_KEY.test(key);
}

/** The key under which a command is recognised when it comes again; undefined where it has none. */
export function keyOf(command: Command): string | undefined {
  switch (command.kind) {
    case 'credit':
    case 'debit':
    case 'post':
    case 'capture':
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
    default:
      return command.accountId === undefined ? [] : [command.accountId];
  }
}

/**
 * The text whose hash is a command's fingerprint: two requests with one key are the same request
 * exactly where these texts are equal (contract Q14). Names of metadata stand in the order of
 * their UTF-16 code units, whatever order they were sent in.
 *
 * These texts are for ever: fingerprints of them are stored. What has to be written differently
 * gets a new form, and the old one goes on being recognised, as `formerForm` is.
 */
export function canonicalForm(command: Canonical): string {
  return formOf(command, sortedText(metadataOf(command)));
}

/**
 * The form in which names of metadata stood as they were sent; undefined where that is the
 * canonical one. Transactions of before are known by its fingerprint.
 */
export function formerForm(command: Canonical): string | undefined {
  const metadata = metadataOf(command);
  const asSent = JSON.stringify(metadata);
  return asSent === sortedText(metadata) ? undefined : formOf(command, asSent);
}

function formOf(command: Canonical, metadata: string): string {
  switch (command.kind) {
    case 'post': {
      const lines = command.postings.map((line) => [line.accountId, line.amount.toString()]);
      return endingIn(metadata, ['post', command.remarks.reference, lines]);
    }
    case 'hold': {
      const { accountId, amount, reference, expiresInMs } = command;
      return JSON.stringify(['hold', accountId, amount.toString(), reference, expiresInMs]);
    }
    case 'capture': {
      const { holdId, amount, overage, final } = command;
      return endingIn(metadata, ['capture', holdId, amount?.toString(), overage, final]);
    }
    default: {
      const { kind, accountId, amount, remarks, terms } = command;
      const fields = [kind, accountId, amount.toString(), remarks.reference];
      const { description } = remarks;
      // Left out where there are none: plain movements have short forms, and those from before
      // there were descriptions have the forms that they had.
      if (terms === undefined && description === null && remarks.metadata === null) {
        return JSON.stringify(fields);
      }
      const described = description === null ? [] : [description];
      return endingIn(metadata, [...fields, terms && termsForm(terms), ...described]);
    }
  }
}

function termsForm({ priority, category, effectiveAt, expiresAt }: GrantTerms) {
  return { priority, category, effectiveAt, expiresAt };
}

/** The fields as JSON, with text that is JSON already as the last of them. */
function endingIn(last: string, fields: readonly unknown[]): string {
  return `${JSON.stringify(fields).slice(0, -1)},${last}]`;
}

function metadataOf(command: Canonical): Metadata | null {
  if (command.kind === 'hold') return null;
  return command.kind === 'capture' ? command.metadata : command.remarks.metadata;
}

/** An object cannot carry the order: it has names that are whole numbers first, by their size. */
function sortedText(metadata: Metadata | null): string {
  if (metadata === null) return 'null';
  const pairs = Object.keys(metadata)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(metadata[name])}`);
  return `{${pairs.join(',')}}`;
}

type Unprinted<Fields> = Omit<Fields, keyof Prints | 'transactionId' | 'key'>;
type Canonical =
  | Unprinted<MoveCommand>
  | Unprinted<PostCommand>
  | Omit<Unprinted<HoldCommand>, 'holdId'>
  | Omit<Unprinted<CaptureCommand>, 'accountId'>;
