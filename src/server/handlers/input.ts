import type { z } from 'zod';
import { type ErrorCode, refuse } from '../../core/errors.js';
import type { Read } from '../http/exchange.js';
import type { WireRefusal } from '../present/wire-refusal.js';

/** Reading a request: every way in which it can be malformed has its own clear refusal. */

const NOT_JSON = refuse(
  'unsupported_media_type',
  'The body must be JSON. Send it with content-type: application/json.',
);
const MALFORMED = refuse(
  'invalid_json',
  'The body is not well-formed JSON. Check quotes, commas and the encoding (UTF-8).',
);

/** Reads a body as JSON; a request without one reads as an empty object. */
export function readJson(body: string, type: string | undefined): Read<unknown> {
  if (body === '') return { value: {} };
  if (type !== undefined && !JSON_TYPE.test(type)) return { refusal: NOT_JSON };
  try {
    return { value: JSON.parse(body) };
  } catch {
    return { refusal: MALFORMED };
  }
}

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

/** Reads the query; a parameter that comes twice is refused, for only one could be meant. */
export function readQuery(text: string): Read<Record<string, string>> {
  const query: Record<string, string> = Object.create(null);
  if (text === '') return { value: query };
  for (const [name, value] of new URLSearchParams(text)) {
    if (name in query) {
      const message = `${name} is given more than once. Send it once.`;
      return { refusal: told('validation_error', message, name) };
    }
    query[name] = value;
  }
  return { value: query };
}

/**
 * Checks a value against a schema; the first fault is the refusal.
 *
 * @param whole what a refusal calls the value itself.
 */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  whole = 'The body',
): Read<z.output<Schema>> {
  const result = schema.safeParse(value);
  if (result.success) return { value: result.data };
  return { refusal: toRefusal(result.error.issues[0]!, value, whole) };
}

function toRefusal(issue: z.core.$ZodIssue, root: unknown, whole: string): WireRefusal {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const param = path === '' ? key : `${path}.${key}`;
    return told('validation_error', `${param} is not a field of this request.`, param);
  }
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key],
    root,
  );
  if (path === '') return refuse('validation_error', `${whole} must be a JSON object.`);
  if (value === undefined) return told('validation_error', `${path} is required.`, path);
  const code: ErrorCode = /(?:^|\.)(?:amount|initial_balance)$/.test(path)
    ? 'invalid_amount'
    : 'validation_error';
  return told(code, `${path} ${sentence(issue.message)}`, path);
}

function told(code: ErrorCode, message: string, param: string): WireRefusal {
  return { code, message, param };
}

/** The schemas' own messages continue the field's name; the library's are made to. */
function sentence(message: string): string {
  return message.replace(/^Invalid input: /, 'is not valid: ').replace(/\.?$/, '.');
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}
