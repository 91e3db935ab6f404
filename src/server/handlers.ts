import type { z } from 'zod';
import { parseInstant } from '../contract/fields.js';
import type { OPERATIONS, Operation, OperationName } from '../contract/operations.js';
import { type ErrorCode, type Refusal, RefusalError, refuse } from '../core/errors.js';
import { type IdKind, parseEntryId, parseId, type Uuid } from '../core/id.js';
import {
  invalidCursor,
  isReservedKey,
  type Ledger,
  type Outcome,
  type Page,
  type Store,
} from '../ledger/index.js';
import { presentAccount, presentEntry, presentList, presentTransaction, time } from './present.js';
import { WEBHOOK_HANDLERS } from './webhook-handlers.js';

/** What a handler gets: all of it checked against the operation's row. */
export interface Call<Row extends Operation> {
  readonly ledger: Ledger;
  readonly store: Store;
  /** The named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: z.output<Row['query']>;
  readonly body: z.output<Row['body']>;
}

/** What a handler answers: the body to send, or a refusal. */
export type Reply<Row extends Operation> =
  | { readonly body: z.input<Row['answer']>; readonly replayed?: boolean }
  | { readonly refusal: Refusal };

export type Handlers = {
  readonly [Name in OperationName]: (
    call: Call<(typeof OPERATIONS)[Name]>,
  ) => Promise<Reply<(typeof OPERATIONS)[Name]>>;
};

export const HANDLERS: Handlers = {
  createAccount: async ({ ledger, store, body }) =>
    accountReply(
      store,
      await ledger.open(store, {
        customerId: body.customer_id,
        name: body.name,
        unitLabel: body.unit_label,
        initialBalance: BigInt(body.initial_balance ?? '0'),
      }),
    ),

  listAccounts: async ({ ledger, store, query }) => {
    const page = pageOf(query, accountCursor);
    const listed = await ledger.accounts(store, query.customer_id, page);
    return { body: presentList(listed, (account) => presentAccount(store, account)) };
  },

  getAccount: async ({ ledger, store, params }) => ({
    body: presentAccount(store, await ledger.account(store, accountId(params.id))),
  }),

  getAccountBalance: async ({ ledger, store, params, query }) => {
    if (query.at !== undefined) {
      const balance = await ledger.balanceAt(store, accountId(params.id), parseInstant(query.at)!);
      return { body: { balance: balance.toString(), as_of: query.at } };
    }
    const { balance, postedAt } = await ledger.account(store, accountId(params.id));
    return { body: { balance: balance.toString(), updated_at: time(postedAt) } };
  },

  listEntries: async ({ ledger, store, params, query }) => {
    const page = pageOf(query, parseEntryId);
    return {
      body: presentList(await ledger.entries(store, accountId(params.id), page), presentEntry),
    };
  },

  freezeAccount: async ({ ledger, store, params }) =>
    accountReply(store, await ledger.setStatus(store, 'freeze', accountId(params.id))),

  unfreezeAccount: async ({ ledger, store, params }) =>
    accountReply(store, await ledger.setStatus(store, 'unfreeze', accountId(params.id))),

  closeAccount: async ({ ledger, store, params }) =>
    accountReply(store, await ledger.setStatus(store, 'close', accountId(params.id))),

  creditAccount: async ({ ledger, store, params, body }) =>
    transactionReply(store, await ledger.credit(store, movement(params.id, body))),

  debitAccount: async ({ ledger, store, params, body }) =>
    transactionReply(store, await ledger.debit(store, movement(params.id, body))),

  reverseTransaction: async ({ ledger, store, params, body }) => {
    const account = accountId(params.id);
    const original = transactionId(body.transaction_id, 'transaction_id');
    return transactionReply(store, await ledger.reverse(store, original, account));
  },

  postTransaction: async ({ ledger, store, body }) => {
    const key = clientKey(body.idempotency_key);
    const postings = body.entries.map(({ account_id, side, amount }, index) => ({
      accountId: accountId(account_id, `entries[${index}].account_id`),
      amount: side === 'credit' ? BigInt(amount) : -BigInt(amount),
    }));
    const post = { postings, reference: body.reference, key };
    return transactionReply(store, await ledger.post(store, post));
  },

  listTransactionsByReference: async ({ ledger, store, query }) => {
    const page = pageOf(query, (text) => parseId('transaction', text));
    const listed = await ledger.byReference(store, query.reference, page);
    return { body: presentList(listed, (item) => presentTransaction(store, item)) };
  },

  getTransaction: async ({ ledger, store, params }) => ({
    body: presentTransaction(store, await ledger.transaction(store, transactionId(params.id))),
  }),

  reverseTransactionById: async ({ ledger, store, params }) =>
    transactionReply(store, await ledger.reverse(store, transactionId(params.id))),

  ...WEBHOOK_HANDLERS,
};

function movement(
  id: string | undefined,
  body: { amount: string; reference: string; idempotency_key: string },
) {
  return {
    accountId: accountId(id),
    amount: BigInt(body.amount),
    reference: body.reference,
    key: clientKey(body.idempotency_key),
  };
}

/** Refuses keys of the form that the ledger makes itself (contract Q6). */
function clientKey(key: string): string {
  if (!isReservedKey(key)) return key;
  const message =
    'idempotency_key has a form that is reserved for reversals and seeds. Choose another.';
  throw new RefusalError(refuse('validation_error', message, 'idempotency_key'));
}

function accountReply(store: Store, outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind === 'account') return { body: presentAccount(store, outcome.account) };
  throw new Error('An account was expected.');
}

function transactionReply(store: Store, outcome: Outcome) {
  if (outcome.kind === 'refused') return outcome;
  if (outcome.kind !== 'transaction') throw new Error('A transaction was expected.');
  const body = presentTransaction(store, outcome.transaction);
  return { body, replayed: outcome.replayed };
}

/** An id that is not of the right kind is an id of nothing (contract Q8). */
function idOf(kind: IdKind, code: ErrorCode, text: string | undefined, param?: string): Uuid {
  const id = text === undefined ? undefined : parseId(kind, text);
  if (id !== undefined) return id;
  const message = `There is no such ${kind} in this store. Check the ${kind}'s id.`;
  throw new RefusalError(refuse(code, message, param));
}

function accountId(text: string | undefined, param?: string): Uuid {
  return idOf('account', 'account_not_found', text, param);
}

function transactionId(text: string | undefined, param?: string): Uuid {
  return idOf('transaction', 'transaction_not_found', text, param);
}

function accountCursor(text: string): Uuid | undefined {
  return parseId('account', text);
}

function pageOf<Cursor>(
  query: {
    limit: number;
    starting_after?: string | undefined;
    ending_before?: string | undefined;
  },
  parse: (text: string) => Cursor | undefined,
): Page<Cursor> {
  const cursor = (param: 'starting_after' | 'ending_before') => {
    const text = query[param];
    if (text === undefined) return undefined;
    const parsed = parse(text);
    if (parsed === undefined) throw new RefusalError(invalidCursor(param));
    return parsed;
  };
  return {
    limit: query.limit,
    after: cursor('starting_after'),
    before: cursor('ending_before'),
  };
}
