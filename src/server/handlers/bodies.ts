import type { z } from 'zod';
import { parseInstant } from '../../contract/fields.js';
import type { captureBody, holdBody } from '../../contract/funds-schema.js';
import type { creditBody, movementBody, postBody } from '../../contract/schema.js';
import { RefusalError, refuse } from '../../core/errors.js';
import { remarksOf } from '../../core/model.js';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  isReservedKey,
  postCommand,
  type Terms,
} from '../../ledger/index.js';
import { accountId, holdId } from './ids.js';

/**
 * Makes commands of request bodies, for single requests and for the operations of a bulk request.
 *
 * @throws {RefusalError} for ids of nothing and for keys of a reserved form.
 */

export function creditOf(account: string | undefined, body: z.output<typeof creditBody>) {
  return creditCommand({ ...movementOf(account, body), terms: termsOf(body) });
}

export function debitOf(account: string | undefined, body: z.output<typeof movementBody>) {
  return debitCommand(movementOf(account, body));
}

export function postOf(body: z.output<typeof postBody>) {
  const postings = body.entries.map(({ account_id, side, amount }, posting) => ({
    accountId: accountId(account_id, { of: 'account', posting }),
    amount: side === 'credit' ? BigInt(amount) : -BigInt(amount),
  }));
  return postCommand({ postings, key: clientKey(body.idempotency_key), ...remarksOf(body) });
}

export function holdOf(account: string | undefined, body: z.output<typeof holdBody>) {
  return holdCommand({
    accountId: accountId(account),
    amount: BigInt(body.amount),
    reference: body.reference,
    key: body.idempotency_key,
    expiresInMs: body.expires_in * 1000,
  });
}

export function captureOf(hold: string | undefined, body: z.output<typeof captureBody>) {
  return captureCommand({
    holdId: holdId(hold),
    amount: body.amount === undefined ? undefined : BigInt(body.amount),
    overage: body.overage,
    final: body.final,
    key: clientKey(body.idempotency_key),
    metadata: body.metadata ?? null,
  });
}

type TermFields = Pick<
  z.output<typeof creditBody>,
  'expires_at' | 'effective_at' | 'priority' | 'category'
>;

/** Undefined where none is given: such a credit goes to the general pool. */
export function termsOf(body: TermFields): Terms | undefined {
  const { expires_at, effective_at, priority, category } = body;
  const given = [expires_at, effective_at, priority, category];
  if (given.every((field) => field === undefined)) return undefined;
  return {
    ...(expires_at === undefined ? {} : { expiresAt: parseInstant(expires_at)! }),
    effectiveAt: effective_at === undefined ? undefined : parseInstant(effective_at),
    ...(priority === undefined ? {} : { priority }),
    ...(category === undefined ? {} : { category }),
  };
}

function movementOf(account: string | undefined, body: z.output<typeof movementBody>) {
  return {
    accountId: accountId(account),
    amount: BigInt(body.amount),
    key: clientKey(body.idempotency_key),
    ...remarksOf(body),
  };
}

/** Refuses keys of the form that the ledger makes itself (contract Q6). */
function clientKey(key: string): string {
  if (!isReservedKey(key)) return key;
  const message =
    'idempotency_key has a form that is reserved for reversals, seeds and expiries. Choose another.';
  throw new RefusalError(refuse('validation_error', message, 'key'));
}
