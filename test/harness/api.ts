import { expect } from 'vitest';
import { FUNDS_OPERATIONS } from '../../src/contract/funds-operations.js';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import {
  type AccountBody,
  type ErrorBody,
  errorEnvelope,
  type ListBody,
  type TransactionBody,
} from '../../src/contract/schema.js';
import { WEBHOOK_OPERATIONS } from '../../src/contract/webhook-operations.js';
import { type ErrorCode, errorRow } from '../../src/core/errors.js';
import { expectField, expectFieldInBulk } from './request-fields.js';

/** What a call sends; all of it may be wrong, for that is what most tests are about. */
export interface Sent {
  readonly id?: string;
  /** The event that the path names as well; what `id` names where left out. */
  readonly event?: string;
  readonly query?: Record<string, string>;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** The key to use instead of the client's own; null sends none. */
  readonly key?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the server sent.
  readonly body: any;
}

export type CreditOperation = Exclude<
  OperationName,
  keyof typeof FUNDS_OPERATIONS | keyof typeof WEBHOOK_OPERATIONS
>;

/** The fifteen operations of Creem's Customer Credits API. */
export const CREDIT_OPERATIONS = Object.keys(OPERATIONS).filter(
  (name) => !(name in FUNDS_OPERATIONS || name in WEBHOOK_OPERATIONS),
) as CreditOperation[];

/** Codes that any route can answer with, whatever its row says. */
const EVERYWHERE = new Set<string>([
  'missing_api_key',
  'invalid_api_key',
  'insufficient_scope',
  'payload_too_large',
  'unsupported_media_type',
  'invalid_json',
  'validation_error',
  'account_busy',
  'overloaded',
  'unavailable',
]);

/**
 * A client that knows the contract: each answer is held against the row of its operation, so
 * that every test of anything is a test of the contract too.
 */
export class Api {
  constructor(
    readonly url: string,
    readonly key: string,
  ) {}

  async call(name: OperationName, sent: Sent = {}): Promise<Answer> {
    const row = OPERATIONS[name];
    const path = row.path.replace(/:\w+/g, (name) => {
      const named = name === ':event_id' ? (sent.event ?? sent.id) : sent.id;
      return encodeURIComponent(named ?? '');
    });
    const answer = await this.send(row.method.toUpperCase(), path, sent);
    if (answer.status === row.status) {
      expect(row.answer.parse(answer.body), `${name} answers what its row says`).toEqual(
        answer.body,
      );
      expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
    } else {
      const { error } = checkProblem(answer);
      const { code } = error;
      const known = EVERYWHERE.has(code) || (row.errors as readonly string[]).includes(code);
      expect(known, `${name} may answer ${code}`).toBe(true);
      expectField(name, sent.body, error);
    }
    if (name === 'batch' && answer.status === row.status) {
      for (const [index, { error }] of answer.body.results.entries()) {
        if (error !== undefined) expectFieldInBulk(sent.body, index, error);
      }
    }
    return answer;
  }

  async send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const { query, body, headers, key = this.key } = sent;
    const search = query === undefined ? '' : `?${new URLSearchParams(query)}`;
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(`${this.url}${path}${search}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: parse(text) };
  }

  async open(fields: Record<string, string> = {}): Promise<AccountBody> {
    const body = { customer_id: uniqueName('cust'), ...fields };
    return expectStatus(await this.call('createAccount', { body }), 201);
  }

  credit(id: string, amount: string, key = uniqueName('key'), reference = 'test') {
    const body = { amount, reference, idempotency_key: key };
    return this.call('creditAccount', { id, body });
  }

  debit(id: string, amount: string, key = uniqueName('key'), reference = 'test') {
    const body = { amount, reference, idempotency_key: key };
    return this.call('debitAccount', { id, body });
  }

  /** Posts lines such as `['cca_…', -5]`. */
  post(lines: readonly (readonly [id: string, amount: number])[], key = uniqueName('key')) {
    const entries = lines.map(([account_id, amount]) => ({
      account_id,
      side: amount < 0 ? 'debit' : 'credit',
      amount: Math.abs(amount).toString(),
    }));
    const body = { reference: 'test', idempotency_key: key, entries };
    return this.call('postTransaction', { body });
  }

  async balance(id: string, at?: string): Promise<string> {
    const query = at === undefined ? {} : { at };
    const answer = await this.call('getAccountBalance', { id, query });
    return expectStatus<{ balance: string }>(answer, 200).balance;
  }

  async entries(id: string, query: Record<string, string> = {}) {
    const answer = await this.call('listEntries', { id, query });
    return expectStatus<ListBody<{ id: string; amount: string; side: string }>>(answer, 200);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

let names = 0;

export function uniqueName(prefix: string): string {
  return `${prefix}_${process.pid}_${names++}`;
}

// biome-ignore lint/suspicious/noExplicitAny: most tests look at one field of a known answer.
export function expectStatus<Body = any>(answer: Answer, status: number): Body {
  expect(answer.status, JSON.stringify(answer.body)).toBe(status);
  return answer.body;
}

export function expectTransaction(answer: Answer): TransactionBody {
  return expectStatus(answer, 201);
}

/** Holds any error answer against the envelope and the table of errors. */
export function checkProblem(answer: Answer): ErrorBody {
  const parsed = errorEnvelope.safeParse(answer.body);
  expect(parsed.error?.message, JSON.stringify(answer.body)).toBeUndefined();
  const body = parsed.data!;
  const row = errorRow(body.error.code as ErrorCode);
  expect(row, `${body.error.code} is in the table`).toBeDefined();
  expect(answer.status).toBe(row.status);
  expect(body).toEqual(answer.body);
  expect(body).toMatchObject({ status: row.status, message: [body.error.message] });
  expect(body.error.type).toBe(row.type);
  expect(body.error.message).toMatch(/[.…]$|keys create$/);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json\b/);
  expect(answer.headers.get('x-request-id')).toBe(body.error.request_id);
  if (row.status === 503) expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  return body;
}

export function expectProblem(answer: Answer, code: ErrorCode, param?: string | null): ErrorBody {
  const body = checkProblem(answer);
  expect(body.error.code, body.error.message).toBe(code);
  if (param !== undefined) expect(body.error.param).toBe(param);
  return body;
}
