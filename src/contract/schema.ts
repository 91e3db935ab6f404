import { z } from 'zod';
import {
  amount,
  category,
  customerId,
  exactInstant,
  idempotencyKey,
  initialBalance,
  instant,
  limit,
  metadata,
  name,
  PAGE_DEFAULT,
  PAGE_MAX,
  priority,
  REFERENCE_PAGE_MAX,
  reference,
  text,
  UNIT_LABEL_MAX,
} from './fields.js';

/** The wire, in Creem's shapes (contract sections 1.2 and 1.3). Unknown fields are refused. */

/** The most entries of one posted transaction. */
export const POST_ENTRIES_MAX = 200;

export const side = z.enum(['debit', 'credit']);
export const id = z.string().max(64, 'is not an id');
const cursors = { starting_after: id.optional(), ending_before: id.optional() };
export const page = { limit: limit(PAGE_MAX, PAGE_DEFAULT), ...cursors };

export const noQuery = z.strictObject({});
export const noBody = z.strictObject({});

/** What makes a credit a grant: any one of these. */
export const grantTerms = {
  expires_at: exactInstant.optional(),
  effective_at: exactInstant.optional(),
  priority: priority.optional(),
  category: category.optional(),
};

export const createAccountBody = z.strictObject({
  customer_id: customerId,
  name: name.default('default'),
  unit_label: text(UNIT_LABEL_MAX).default('credits'),
  initial_balance: initialBalance.optional(),
  metadata: metadata.optional(),
  ...grantTerms,
});

const DESCRIPTION_MAX = 500;
const description = text(DESCRIPTION_MAX).meta({
  description: 'What the movement is, for people to read.',
  examples: ['Welcome bonus'],
});

export const movementBody = z.strictObject({
  amount,
  reference,
  description: description.optional(),
  idempotency_key: idempotencyKey,
  metadata: metadata.optional(),
});

export const creditBody = z.strictObject({ ...movementBody.shape, ...grantTerms });

export const reverseBody = z.strictObject({ transaction_id: id });

export const postBody = z.strictObject({
  reference,
  idempotency_key: idempotencyKey,
  metadata: metadata.optional(),
  entries: z
    .array(z.strictObject({ account_id: id, side, amount }))
    .min(2, 'must have at least two lines')
    .max(POST_ENTRIES_MAX, `must have at most ${POST_ENTRIES_MAX} lines`),
});

const accountStatus = z.enum(['active', 'frozen', 'closed']);

export const listAccountsQuery = z.strictObject({
  ...page,
  customer_id: customerId.optional(),
  status: accountStatus.optional(),
  name: name.optional(),
});
export const listEntriesQuery = z.strictObject({
  ...page,
  side: side.optional(),
  from: instant.optional(),
  to: instant.optional(),
  reference: reference.optional(),
  description: description.optional(),
  expand: z.literal('transaction').optional(),
});
export const balanceQuery = z.strictObject({ at: instant.optional() });
export const byReferenceQuery = z.strictObject({
  reference,
  limit: limit(REFERENCE_PAGE_MAX, REFERENCE_PAGE_MAX),
  ...cursors,
});

export const time = z
  .string()
  .meta({ format: 'date-time', examples: ['2026-04-14T12:00:00.000Z'] });

export const account = z
  .object({
    id: z.string().meta({ examples: ['cca_06BQkPqZ5dYvXoTt1n2x8W'] }),
    store_id: z.string(),
    customer_id: z.string(),
    name: z.string(),
    unit_label: z.string(),
    status: accountStatus,
    metadata: metadata.optional(),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Account' });

export const balance = z
  .object({
    balance: z.string().meta({ examples: ['5000'] }),
    updated_at: time.optional(),
    as_of: z.string().optional(),
    held: z.string().optional(),
    available: z.string().optional(),
    pending: z.string().optional(),
    expiring_next: z.object({ amount: z.string(), at: time }).nullable().optional(),
  })
  .meta({ id: 'Balance' });

export const entry = z
  .object({
    id: z.string(),
    transaction_id: z.string(),
    account_id: z.string(),
    side,
    amount: z.string(),
    created_at: time,
    transaction: z
      .object({
        reference: z.string(),
        description: z.string().optional(),
        metadata: metadata.nullable(),
      })
      .optional()
      .meta({ description: 'With expand=transaction.' }),
  })
  .meta({ id: 'Entry' });

export const transaction = z
  .object({
    id: z.string().meta({ examples: ['cct_06BQkPqZ5dYvXoTt1n2x8X'] }),
    store_id: z.string(),
    reference: z.string(),
    description: z.string().optional(),
    idempotency_key: z.string(),
    reversal_of: z.string().nullable(),
    entries: z.array(entry),
    created_at: time,
    metadata: metadata.optional(),
    hold_id: z.string().optional(),
    late: z.boolean().optional().meta({ description: 'Captured after its hold had expired.' }),
    drawdowns: z
      .array(z.object({ entry_id: z.string(), grant_id: z.string(), amount: z.string() }))
      .optional()
      .meta({ description: 'What came from grants; negative where it was put back.' }),
  })
  .meta({ id: 'Transaction' });

export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({ object: z.literal('list'), data: z.array(item), has_more: z.boolean() });
}

/** Every error of every route. The fields beside `error` suit platform-style parsers (Q1). */
export const errorEnvelope = z
  .object({
    error: z.object({
      type: z.enum([
        'invalid_request_error',
        'api_error',
        'authentication_error',
        'rate_limit_error',
      ]),
      code: z.string(),
      message: z.string(),
      param: z.string().nullable(),
      request_id: z.string(),
    }),
    trace_id: z.string(),
    status: z.number().int(),
    message: z.array(z.string()),
    timestamp: z.number().int(),
  })
  .meta({ id: 'Error' });

export type AccountBody = z.infer<typeof account>;
export type EntryBody = z.infer<typeof entry>;
export type TransactionBody = z.infer<typeof transaction>;
export type ErrorBody = z.infer<typeof errorEnvelope>;
export interface ListBody<Item> {
  readonly object: 'list';
  readonly data: Item[];
  readonly has_more: boolean;
}
