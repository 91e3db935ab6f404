import type { z } from 'zod';
import type { FUNDS_OPERATIONS } from '../../contract/funds-operations.js';
import {
  type BatchOperation,
  type batchAnswer,
  batchOperation,
} from '../../contract/funds-schema.js';
import { errorRow, type Refusal, RefusalError } from '../../core/errors.js';
import {
  type Command,
  type Outcome,
  releaseCommand,
  reverseCommand,
  type Store,
  voidCommand,
} from '../../ledger/index.js';
import { presentGrant, presentHold } from '../present/funds.js';
import { presentTransaction } from '../present/present.js';
import { fieldsOf, named, type WireRefusal } from '../present/wire-refusal.js';
import { captureOf, creditOf, debitOf, holdOf, postOf } from './bodies.js';
import type { Call, Handlers, Reply } from './handlers.js';
import { accountId, grantId, holdId, transactionId } from './ids.js';
import { check } from './input.js';

type Row = (typeof FUNDS_OPERATIONS)['batch'];
type Result = z.input<typeof batchAnswer>['results'][number];

/** Carries out operations in order, all or nothing where atomic, and answers for each. */
export const batch: Handlers['batch'] = async ({ ledger, store, body }: Call<Row>) => {
  const read = body.operations.map(readOperation);
  if (body.atomic) {
    const malformed = read.findIndex((item) => 'refusal' in item);
    if (malformed >= 0) return culprit(read[malformed] as { refusal: WireRefusal }, malformed);
  }
  const commands = read.flatMap((item) => ('command' in item ? [item.command] : []));
  const outcomes =
    commands.length === 0 ? [] : await ledger.executeAll(store, commands, body.atomic);
  const last = outcomes.at(-1);
  if (body.atomic && last?.kind === 'refused') {
    const index = outcomes.length - 1;
    return culprit({ refusal: namedFor(commands[index]!.kind, last.refusal) }, index);
  }
  let next = 0;
  const results = read.map((item) =>
    'command' in item ? resultOf(store, item.command, outcomes[next++]!) : refusedResult(item),
  );
  return { body: { object: 'batch', results } };
};

type Read = { readonly command: Command } | { readonly refusal: WireRefusal };

/** By the name of an operation, which is the kind of its command: the fields it has. */
const FIELDS_OF = new Map<string, ReadonlySet<string>>(
  batchOperation.options.map((option) => [option.shape.op.value, fieldsOf(option)]),
);

function namedFor(op: string, refusal: Refusal): WireRefusal {
  return named(refusal, FIELDS_OF.get(op)!);
}

function readOperation(operation: unknown): Read {
  const checked = check(batchOperation, operation, 'The operation');
  if ('refusal' in checked) return checked;
  try {
    return { command: toCommand(checked.value) };
  } catch (error) {
    if (error instanceof RefusalError) {
      return { refusal: namedFor(checked.value.op, error.refusal) };
    }
    throw error;
  }
}

function toCommand(operation: BatchOperation): Command {
  switch (operation.op) {
    case 'credit':
      return creditOf(operation.account_id, operation);
    case 'debit':
      return debitOf(operation.account_id, operation);
    case 'post':
      return postOf(operation);
    case 'hold':
      return holdOf(operation.account_id, operation);
    case 'capture':
      return captureOf(operation.hold_id, operation);
    case 'release':
      return releaseCommand(holdId(operation.hold_id, 'hold'));
    case 'void':
      return voidCommand(grantId(operation.grant_id, 'grant'));
    case 'reverse': {
      const { transaction_id: original, account_id: account } = operation;
      return reverseCommand(
        transactionId(original, 'original'),
        account === undefined ? undefined : accountId(account, 'account'),
      );
    }
  }
}

/** An atomic request fails as its first refused operation would, and names it. */
function culprit({ refusal }: { refusal: WireRefusal }, index: number): Reply<Row> {
  const where = `operations[${index}]`;
  const param = refusal.param === undefined ? where : `${where}.${refusal.param}`;
  const message = `${where}: ${refusal.message} Nothing of the batch was carried out.`;
  return { refusal: { ...refusal, message, param } };
}

function resultOf(store: Store, command: Command, outcome: Outcome): Result {
  switch (outcome.kind) {
    case 'refused':
      return refusedResult({ refusal: namedFor(command.kind, outcome.refusal) });
    case 'transaction':
      return {
        status: 201,
        body: presentTransaction(store, outcome.transaction),
        ...(outcome.replayed ? { replayed: true } : {}),
      };
    case 'hold':
      return {
        status: command.kind === 'hold' ? 201 : 200,
        body: presentHold(outcome.hold),
        ...(outcome.replayed ? { replayed: true } : {}),
      };
    case 'grant':
      return {
        status: 200,
        body: presentGrant(outcome.grant, outcome.grant.createdAt, outcome.voided),
      };
    default:
      throw new Error(`No bulk operation comes to ${outcome.kind}.`);
  }
}

function refusedResult({ refusal }: { refusal: WireRefusal }): Result {
  const { status, type } = errorRow(refusal.code);
  const { code, message, param = null } = refusal;
  return { status, error: { type, code, message, param } };
}
