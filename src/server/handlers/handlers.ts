import type { z } from 'zod';
import { parseInstant } from '../../contract/fields.js';
import type { OPERATIONS, Operation, OperationName } from '../../contract/operations.js';
import type { Refusal } from '../../core/errors.js';
import { parseEntryId } from '../../core/id.js';
import {
  type EntryFilter,
  type Ledger,
  openCommand,
  reverseCommand,
  type Store,
  statusCommand,
} from '../../ledger/index.js';
import { entriesCsv } from '../present/csv.js';
import type { Exports } from '../present/exports.js';
import {
  presentAccount,
  presentBalance,
  presentEntry,
  presentList,
  presentTransaction,
} from '../present/present.js';
import type { WireRefusal } from '../present/wire-refusal.js';
import { creditOf, debitOf, postOf, termsOf } from './bodies.js';
import { FUNDS_HANDLERS } from './funds.js';
import { accountId, cursorOf, pageOf, transactionId } from './ids.js';
import { notedFilter } from './remarks.js';
import { accountReply, transactionReply } from './replies.js';
import { WEBHOOK_HANDLERS } from './webhooks.js';

/** What a handler gets: all of it checked against the operation's row. */
export interface Call<Row extends Operation> {
  readonly ledger: Ledger;
  readonly store: Store;
  /** The named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: z.output<Row['query']>;
  readonly body: z.output<Row['body']>;
  /** What the caller would rather have than JSON; empty where it did not say. */
  readonly accept: string;
  readonly exports: Exports;
}

/** What a handler answers: the body to send, or a refusal. */
export type Reply<Row extends Operation> =
  | { readonly body: z.input<Row['answer']>; readonly replayed?: boolean }
  | { readonly csv: AsyncIterable<string> }
  | { readonly refusal: Refusal | WireRefusal };

export type Handlers = {
  readonly [Name in OperationName]: (
    call: Call<(typeof OPERATIONS)[Name]>,
  ) => Promise<Reply<(typeof OPERATIONS)[Name]>>;
};

export const HANDLERS: Handlers = {
  createAccount: async ({ ledger, store, body }) =>
    accountReply(
      store,
      await ledger.execute(
        store,
        openCommand({
          customerId: body.customer_id,
          name: body.name,
          unitLabel: body.unit_label,
          initialBalance: BigInt(body.initial_balance ?? '0'),
          terms: termsOf(body),
          metadata: body.metadata ?? null,
        }),
      ),
    ),

  listAccounts: async ({ ledger, store, query }) => {
    const page = pageOf(query, cursorOf('account'));
    const { customer_id: customerId, status, name } = query;
    const listed = await ledger.accounts(store, { customerId, status, name }, page);
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
    return { body: presentBalance(await ledger.funds.position(store, accountId(params.id))) };
  },

  listEntries: async ({ ledger, store, params, query, accept, exports }) => {
    const page = pageOf(query, parseEntryId);
    const id = accountId(params.id);
    const filter = entryFilter(query);
    if (/\btext\/csv\b/i.test(accept)) {
      return { csv: exports.run(store.id, await entriesCsv(ledger, store, id, filter)) };
    }
    const listed = await ledger.entries(store, id, page, filter);
    const expand = query.expand === 'transaction';
    return { body: presentList(listed, (entry) => presentEntry(entry, expand)) };
  },

  freezeAccount: async ({ ledger, store, params }) =>
    accountReply(store, await ledger.execute(store, statusCommand('freeze', accountId(params.id)))),

  unfreezeAccount: async ({ ledger, store, params }) =>
    accountReply(
      store,
      await ledger.execute(store, statusCommand('unfreeze', accountId(params.id))),
    ),

  closeAccount: async ({ ledger, store, params }) =>
    accountReply(store, await ledger.execute(store, statusCommand('close', accountId(params.id)))),

  creditAccount: async ({ ledger, store, params, body }) =>
    transactionReply(store, await ledger.execute(store, creditOf(params.id, body))),

  debitAccount: async ({ ledger, store, params, body }) =>
    transactionReply(store, await ledger.execute(store, debitOf(params.id, body))),

  reverseTransaction: async ({ ledger, store, params, body }) => {
    const account = accountId(params.id);
    const original = transactionId(body.transaction_id, 'original');
    return transactionReply(store, await ledger.execute(store, reverseCommand(original, account)));
  },

  postTransaction: async ({ ledger, store, body }) =>
    transactionReply(store, await ledger.execute(store, postOf(body))),

  listTransactionsByReference: async ({ ledger, store, query }) => {
    const page = pageOf(query, cursorOf('transaction'));
    const listed = await ledger.byReference(store, query.reference, page);
    return { body: presentList(listed, (item) => presentTransaction(store, item)) };
  },

  getTransaction: async ({ ledger, store, params }) => ({
    body: presentTransaction(store, await ledger.transaction(store, transactionId(params.id))),
  }),

  reverseTransactionById: async ({ ledger, store, params }) =>
    transactionReply(store, await ledger.execute(store, reverseCommand(transactionId(params.id)))),

  ...FUNDS_HANDLERS,

  ...WEBHOOK_HANDLERS,
};

function entryFilter(query: z.output<(typeof OPERATIONS)['listEntries']['query']>): EntryFilter {
  const { side, from, to } = query;
  return {
    side,
    from: from === undefined ? undefined : parseInstant(from),
    to: to === undefined ? undefined : parseInstant(to),
    noted: notedFilter(query),
  };
}
