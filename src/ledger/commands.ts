import {
  type CaptureCommand,
  canonicalForm,
  type ExtendCommand,
  formerForm,
  type GrantTerms,
  type HoldCommand,
  type MoveCommand,
  type OpenCommand,
  type PostCommand,
  type Prints,
  type ReleaseCommand,
  type ReverseCommand,
  type StatusCommand,
  type VoidCommand,
} from '../core/command.js';
import type { Uuid } from '../core/id.js';
import { type Metadata, type Noted, type Posting, remarksOf } from '../core/model.js';
import { newId } from '../store/ids.js';
import { fingerprint } from './fingerprint.js';

/** Makes commands of what a caller asks for: adds the ids of what they create, and fingerprints. */

/** Makes a credit a grant. Times are milliseconds since the Unix epoch. */
export type Terms = Partial<Omit<GrantTerms, 'grantId'>>;

export interface Movement extends Noted {
  readonly accountId: Uuid;
  /** A positive integer in the account's unit. */
  readonly amount: bigint;
  readonly key: string;
}

export interface Opening {
  readonly customerId: string;
  readonly name: string;
  readonly unitLabel: string;
  /** Zero seeds nothing. */
  readonly initialBalance: bigint;
  readonly terms?: Terms | undefined;
  readonly metadata?: Metadata | null;
}

export interface Posted extends Noted {
  /** Credits are positive, debits negative. */
  readonly postings: readonly Posting[];
  readonly key: string;
}

const PRIORITY_DEFAULT = 50;

export function openCommand({ terms, metadata = null, ...opening }: Opening): OpenCommand {
  const accountId = newId();
  return {
    ...opening,
    kind: 'open',
    accountId,
    terms: grantTerms(terms),
    metadata,
    transactionId: newId(),
    fingerprint: fingerprint(accountId),
  };
}

export function creditCommand({ terms, ...movement }: Movement & { terms?: Terms | undefined }) {
  return moveCommand('credit', movement, grantTerms(terms));
}

export function debitCommand(movement: Movement): MoveCommand {
  return moveCommand('debit', movement, undefined);
}

function moveCommand(
  kind: 'credit' | 'debit',
  { accountId, amount, key, ...noted }: Movement,
  terms: GrantTerms | undefined,
): MoveCommand {
  const asked = { kind, accountId, amount, terms, remarks: remarksOf(noted) };
  return { ...asked, key, transactionId: newId(), ...printsOf(asked) };
}

function grantTerms(terms: Terms | undefined): GrantTerms | undefined {
  if (terms === undefined) return undefined;
  return {
    grantId: newId(),
    priority: terms.priority ?? PRIORITY_DEFAULT,
    category: terms.category ?? 'paid',
    effectiveAt: terms.effectiveAt,
    expiresAt: terms.expiresAt ?? null,
  };
}

export function postCommand({ postings, key, ...noted }: Posted): PostCommand {
  const asked = { kind: 'post', postings, remarks: remarksOf(noted) } as const;
  return { ...asked, key, transactionId: newId(), ...printsOf(asked) };
}

/** Where an account is given, the original must touch it. */
export function reverseCommand(originalId: Uuid, accountId?: Uuid): ReverseCommand {
  return {
    kind: 'reverse',
    originalId,
    accountId,
    transactionId: newId(),
    fingerprint: fingerprint(originalId),
  };
}

export function statusCommand(kind: StatusCommand['kind'], accountId: Uuid): StatusCommand {
  return { kind, accountId };
}

export function holdCommand(
  fields: Pick<HoldCommand, 'accountId' | 'amount' | 'reference' | 'key' | 'expiresInMs'>,
): HoldCommand {
  const hold = { ...fields, kind: 'hold' } as const;
  return { ...hold, holdId: newId(), ...printsOf(hold) };
}

export function captureCommand(
  fields: Pick<CaptureCommand, 'holdId' | 'amount' | 'overage' | 'final' | 'key'> & {
    metadata?: Metadata | null;
  },
): CaptureCommand {
  const { holdId, amount, overage, final, key, metadata = null } = fields;
  return {
    kind: 'capture',
    holdId,
    accountId: undefined,
    amount,
    overage,
    final,
    metadata,
    key,
    transactionId: newId(),
    ...printsOf({ kind: 'capture', holdId, amount, overage, final, metadata }),
  };
}

function printsOf(command: Parameters<typeof canonicalForm>[0]): Prints {
  const former = formerForm(command);
  const print = fingerprint(canonicalForm(command));
  return former === undefined
    ? { fingerprint: print }
    : { fingerprint: print, formerFingerprint: fingerprint(former) };
}

export function releaseCommand(holdId: Uuid): ReleaseCommand {
  return { kind: 'release', holdId, accountId: undefined };
}

export function extendCommand(holdId: Uuid, expiresInMs: number): ExtendCommand {
  return { kind: 'extend', holdId, accountId: undefined, expiresInMs };
}

export function voidCommand(grantId: Uuid): VoidCommand {
  return { kind: 'void', grantId, accountId: undefined };
}
