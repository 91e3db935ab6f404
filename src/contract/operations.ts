import type { z } from 'zod';
import type { ErrorCode } from '../core/errors.js';
import * as wire from './schema.js';

export type Scope = 'credits:read' | 'credits:write';

/** One row of the contract: the routes, `openapi.json` and the handlers' types come from it. */
export interface Operation<
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  readonly path: string;
  readonly summary: string;
  readonly scope: Scope;
  readonly query: Query;
  readonly body: Body;
  readonly answer: Answer;
  readonly status: 200 | 201;
  /** What it can refuse besides what every operation can; in order of precedence. */
  readonly errors: readonly ErrorCode[];
}

function operation<Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType>(
  row: Operation<Query, Body, Answer>,
): Operation<Query, Body, Answer> {
  return row;
}

const ACCOUNTS = '/v1/customer-credits/accounts';
const TRANSACTIONS = '/v1/customer-credits/transactions';

const bare = { query: wire.noQuery, body: wire.noBody };
const movementErrors = [
  'invalid_amount',
  'account_not_found',
  'idempotency_key_mismatch',
  'account_closed',
  'account_frozen',
] as const;
const reversalErrors = [
  'transaction_not_found',
  'transaction_not_reversible',
  'account_closed',
  'account_frozen',
  'insufficient_balance',
  'balance_limit_exceeded',
] as const;

/** The 15 operations of Creem's Customer Credits API (contract section 1.1). */
export const OPERATIONS = {
  createAccount: operation({
    ...bare,
    method: 'post',
    path: ACCOUNTS,
    summary: 'Open an account, seeded or empty',
    scope: 'credits:write',
    body: wire.createAccountBody,
    answer: wire.account,
    status: 201,
    errors: ['invalid_amount', 'account_name_taken'],
  }),
  listAccounts: operation({
    ...bare,
    method: 'get',
    path: ACCOUNTS,
    summary: 'List accounts, newest first',
    scope: 'credits:read',
    query: wire.listAccountsQuery,
    answer: wire.listOf(wire.account),
    status: 200,
    errors: ['invalid_cursor'],
  }),
  getAccount: operation({
    ...bare,
    method: 'get',
    path: `${ACCOUNTS}/:id`,
    summary: 'Get an account',
    scope: 'credits:read',
    answer: wire.account,
    status: 200,
    errors: ['account_not_found'],
  }),
  getAccountBalance: operation({
    ...bare,
    method: 'get',
    path: `${ACCOUNTS}/:id/balance`,
    summary: 'Get the balance, now or at an instant',
    scope: 'credits:read',
    query: wire.balanceQuery,
    answer: wire.balance,
    status: 200,
    errors: ['account_not_found'],
  }),
  listEntries: operation({
    ...bare,
    method: 'get',
    path: `${ACCOUNTS}/:id/entries`,
    summary: "List an account's entries, newest first",
    scope: 'credits:read',
    query: wire.listEntriesQuery,
    answer: wire.listOf(wire.entry),
    status: 200,
    errors: ['invalid_cursor', 'account_not_found'],
  }),
  freezeAccount: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/freeze`,
    summary: 'Freeze an account: reads go on, movements are refused',
    scope: 'credits:write',
    answer: wire.account,
    status: 200,
    errors: ['account_not_found', 'account_closed', 'account_frozen'],
  }),
  unfreezeAccount: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/unfreeze`,
    summary: 'Unfreeze a frozen account',
    scope: 'credits:write',
    answer: wire.account,
    status: 200,
    errors: ['account_not_found', 'account_closed', 'account_not_frozen'],
  }),
  creditAccount: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/credit`,
    summary: 'Add credits',
    scope: 'credits:write',
    body: wire.movementBody,
    answer: wire.transaction,
    status: 201,
    errors: [...movementErrors, 'balance_limit_exceeded'],
  }),
  debitAccount: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/debit`,
    summary: 'Take credits; all or nothing, never below zero',
    scope: 'credits:write',
    body: wire.movementBody,
    answer: wire.transaction,
    status: 201,
    errors: [...movementErrors, 'insufficient_balance'],
  }),
  reverseTransaction: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/reverse`,
    summary: 'Reverse a whole transaction of this account',
    scope: 'credits:write',
    body: wire.reverseBody,
    answer: wire.transaction,
    status: 201,
    errors: ['account_not_found', ...reversalErrors],
  }),
  closeAccount: operation({
    ...bare,
    method: 'post',
    path: `${ACCOUNTS}/:id/close`,
    summary: 'Close an account for good; balance and history stay readable',
    scope: 'credits:write',
    answer: wire.account,
    status: 200,
    errors: ['account_not_found', 'account_closed'],
  }),
  postTransaction: operation({
    ...bare,
    method: 'post',
    path: TRANSACTIONS,
    summary: 'Post a balanced transaction over several accounts',
    scope: 'credits:write',
    body: wire.postBody,
    answer: wire.transaction,
    status: 201,
    errors: [
      ...movementErrors,
      'unbalanced_transaction',
      'insufficient_balance',
      'balance_limit_exceeded',
    ],
  }),
  listTransactionsByReference: operation({
    ...bare,
    method: 'get',
    path: TRANSACTIONS,
    summary: 'List everything recorded for a reference, newest first',
    scope: 'credits:read',
    query: wire.byReferenceQuery,
    answer: wire.listOf(wire.transaction),
    status: 200,
    errors: ['invalid_cursor'],
  }),
  getTransaction: operation({
    ...bare,
    method: 'get',
    path: `${TRANSACTIONS}/:id`,
    summary: 'Get a transaction',
    scope: 'credits:read',
    answer: wire.transaction,
    status: 200,
    errors: ['transaction_not_found'],
  }),
  reverseTransactionById: operation({
    ...bare,
    method: 'post',
    path: `${TRANSACTIONS}/:id/reverse`,
    summary: 'Reverse a whole transaction',
    scope: 'credits:write',
    answer: wire.transaction,
    status: 201,
    errors: [...reversalErrors],
  }),
} as const;

export type OperationName = keyof typeof OPERATIONS;
