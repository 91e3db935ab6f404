import { z } from 'zod';
import { CLOCK_MAX, CLOCK_MIN } from '../core/model.js';
import {
  amount,
  category,
  exactInstant,
  expiresIn,
  HOLD_SECONDS_DEFAULT,
  idempotencyKey,
  metadata,
  parseInstant,
  reference,
} from './fields.js';
import {
  grantTerms,
  id,
  movementBody,
  page,
  postBody,
  reverseBody,
  time,
  transaction,
} from './schema.js';

/** The wire of holds, grants, bulk and the clock: our own, beside Creem's contract. */

export const holdBody = z.strictObject({
  amount,
  reference,
  idempotency_key: idempotencyKey,
  expires_in: expiresIn.default(HOLD_SECONDS_DEFAULT),
});

export const captureBody = z.strictObject({
  amount: amount.optional(),
  overage: z.enum(['refuse', 'cap']).default('refuse'),
  final: z.boolean().default(true),
  idempotency_key: idempotencyKey,
  metadata: metadata.optional(),
});

export const extendBody = z.strictObject({ expires_in: expiresIn });

const HOLD_STATUSES = ['open', 'captured', 'released', 'expired'] as const;
const GRANT_STATUSES = ['pending', 'active', 'depleted', 'expired', 'voided'] as const;

export const listHoldsQuery = z.strictObject({ ...page, status: z.enum(HOLD_STATUSES).optional() });
export const listGrantsQuery = z.strictObject({
  ...page,
  status: z.enum(GRANT_STATUSES).optional(),
});

export const hold = z
  .object({
    id: z.string(),
    object: z.literal('hold'),
    account_id: z.string(),
    amount: z.string(),
    remaining: z.string().meta({ description: 'What it keeps now.' }),
    captured: z.string(),
    status: z.enum(HOLD_STATUSES),
    reference: z.string(),
    idempotency_key: z.string(),
    expires_at: time,
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Hold' });

export const grant = z
  .object({
    id: z.string(),
    object: z.literal('grant'),
    account_id: z.string(),
    transaction_id: z.string(),
    amount: z.string(),
    remaining: z.string(),
    priority: z.number().int(),
    category,
    status: z.enum(GRANT_STATUSES),
    effective_at: time,
    expires_at: time.nullable(),
    voided_at: time.nullable(),
    voided_amount: z.string().nullable().meta({
      description: 'What its void took at once; what holds kept goes when they end.',
    }),
    void_transaction_id: z.string().nullable().meta({
      description: 'The transaction in which its void took that; null where holds kept all.',
    }),
    created_at: time,
  })
  .meta({ id: 'Grant' });

/** The most operations of one bulk request. */
export const BATCH_OPERATIONS_MAX = 1_000;

const account = { account_id: id };

export const batchOperation = z.discriminatedUnion(
  'op',
  [
    z.strictObject({ op: z.literal('credit'), ...account, ...movementBody.shape, ...grantTerms }),
    z.strictObject({ op: z.literal('debit'), ...account, ...movementBody.shape }),
    z.strictObject({ op: z.literal('reverse'), account_id: id.optional(), ...reverseBody.shape }),
    z.strictObject({ op: z.literal('post'), ...postBody.shape }),
    z.strictObject({ op: z.literal('hold'), ...account, ...holdBody.shape }),
    z.strictObject({ op: z.literal('capture'), hold_id: id, ...captureBody.shape }),
    z.strictObject({ op: z.literal('release'), hold_id: id }),
    z.strictObject({ op: z.literal('void'), grant_id: id }),
  ],
  'must be credit, debit, reverse, post, hold, capture, release or void',
);

export type BatchOperation = z.output<typeof batchOperation>;

export const batchBody = z.strictObject({
  atomic: z.boolean().default(false),
  operations: z
    // Each is checked by itself, for one that is malformed must not stop the others.
    .array(z.unknown().meta({ shownAs: batchOperation }))
    .min(1, 'must have at least one operation')
    .max(BATCH_OPERATIONS_MAX, `must have at most ${BATCH_OPERATIONS_MAX} operations`),
});

export const batchAnswer = z
  .object({
    object: z.literal('batch'),
    results: z.array(
      z.object({
        status: z.number().int(),
        replayed: z.boolean().optional(),
        body: z.union([transaction, hold, grant]).optional(),
        error: z
          .object({
            type: z.string(),
            code: z.string(),
            message: z.string(),
            param: z.string().nullable(),
          })
          .optional(),
      }),
    ),
  })
  .meta({ id: 'BatchResults' });

const CLOCK_SECONDS_MAX = 10 * 366 * 86_400;

const clockInstant = exactInstant.refine((value) => {
  const at = parseInstant(value);
  return at === undefined || (at >= CLOCK_MIN && at <= CLOCK_MAX);
}, 'must be from 1970 to 9998');

export const clockBody = z
  .strictObject({
    now: clockInstant.optional(),
    advance: z
      .int()
      .min(1, 'must be a positive whole number of seconds')
      .max(CLOCK_SECONDS_MAX, 'must be at most ten years in seconds')
      .optional(),
  })
  .refine(({ now, advance }) => now === undefined || advance === undefined, {
    message: 'cannot be sent together with now',
    path: ['advance'],
  });

export const clock = z
  .object({
    object: z.literal('clock'),
    now: time,
    real: z.boolean().meta({ description: 'Whether it is real time that runs.' }),
    settled: z.object({
      accounts: z.number().int(),
      holds_expired: z.number().int(),
      grants_announced: z.number().int(),
      transactions: z.array(transaction).meta({ description: 'The first hundred.' }),
      has_more: z.boolean(),
    }),
  })
  .meta({ id: 'Clock' });
