import { z } from 'zod';
import type { Blamed, ErrorCode, Refusal } from '../../core/errors.js';

/** A refusal as its caller is told it: what is to blame has the name of a field of the request. */
export interface WireRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  /** A refusal of the ledger's own goes through `named` before anybody is told of it. */
  readonly blamed?: never;
}

type Part = Extract<Blamed, string> | Extract<Blamed, object>['of'];

/**
 * What the wire calls the parts that the ledger speaks of. Of several names a request's is the
 * first of which it has the field: so nothing is ever blamed on a field that it has not got, and
 * what the path names is blamed on none.
 */
const FIELDS: Readonly<Record<Part, readonly string[]>> = {
  account: ['entries[].account_id', 'account_id'],
  advance: ['advance'],
  after: ['starting_after'],
  // What a reversal moves is not said in its request: the transaction that is named is.
  amount: ['entries[].amount', 'amount', 'initial_balance', 'transaction_id'],
  before: ['ending_before'],
  expiry: ['expires_at'],
  grant: ['grant_id'],
  hold: ['hold_id'],
  key: ['idempotency_key'],
  name: ['name'],
  original: ['transaction_id'],
  postings: ['entries'],
  start: ['effective_at'],
  url: ['url'],
};

/** The fields of a request's schemas, such as `entries` and `entries[].amount`. */
export function fieldsOf(...schemas: readonly z.ZodType[]): ReadonlySet<string> {
  return new Set(schemas.flatMap((schema) => fieldsWithin(schema)));
}

function fieldsWithin(schema: z.core.$ZodType): string[] {
  if (schema instanceof z.ZodArray) return fieldsWithin(schema.element).map((at) => `[].${at}`);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    return [
      name,
      ...fieldsWithin(field).map((at) => `${name}${at.startsWith('[') ? '' : '.'}${at}`),
    ];
  });
}

/** Names what is to blame by the request's own field, where it has one for it. */
export function named(refusal: Refusal | WireRefusal, fields: ReadonlySet<string>): WireRefusal {
  if ('param' in refusal) return refusal;
  const { code, message, blamed } = refusal;
  if (blamed === undefined) return { code, message };
  const part = typeof blamed === 'string' ? blamed : blamed.of;
  const field = FIELDS[part].find((name) => fields.has(name));
  if (field === undefined) return { code, message };
  const param = typeof blamed === 'string' ? field : field.replace('[]', `[${blamed.posting}]`);
  return { code, message, param };
}
