import { expect } from 'vitest';
import { z } from 'zod';
import { batchOperation } from '../../src/contract/funds-schema.js';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';

/** What of a refusal is held against the request that was refused. */
interface Told {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

interface Json {
  readonly properties?: Readonly<Record<string, Json>>;
  readonly items?: Json;
  readonly propertyNames?: Json;
}

const OPTIONS = new Map(batchOperation.options.map((option) => [option.shape.op.value, option]));

const SHAPES = new Map<z.ZodType, Json | undefined>();

/**
 * A refusal blames a field that the request of the operation can have, or none. Only a field that
 * is refused for not being one has to be named although it is not.
 */
export function expectField(name: OperationName, body: unknown, told: Told): void {
  const { query, body: schema } = OPERATIONS[name];
  const { param } = told;
  if (param === null || isRefusedAsUnknown(told)) return;
  const inBulk = name === 'batch' ? /^operations\[(\d+)\](?:\.(.+))?$/.exec(param) : null;
  if (inBulk === null) {
    const isKnown = isField(query, param) || isField(schema, param);
    expect(isKnown, `${name} has a field ${param}, which ${told.code} blames`).toBe(true);
  } else if (inBulk[2] !== undefined) {
    expectFieldInBulk(body, Number(inBulk[1]), { ...told, param: inBulk[2] });
  }
}

/** The same of one operation of a bulk request. @param body as text, or what it is made of. */
export function expectFieldInBulk(body: unknown, index: number, told: Told): void {
  const { param } = told;
  if (param === null || isRefusedAsUnknown(told)) return;
  const { operations } = typeof body === 'string' ? JSON.parse(body) : body;
  const op = operations[index]?.op;
  const option = OPTIONS.get(op);
  const isKnown = option === undefined ? param === 'op' : isField(option, param);
  expect(isKnown, `the operation ${op} has a field ${param}, which ${told.code} blames`).toBe(true);
}

function isRefusedAsUnknown({ code, message }: Told): boolean {
  return code === 'validation_error' && / is (not a field|given more than once)/.test(message);
}

function isField(schema: z.ZodType, path: string): boolean {
  let at = SHAPES.get(schema);
  if (at === undefined) {
    at = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json;
    SHAPES.set(schema, at);
  }
  for (const step of path.split(/\.|(?=\[)/)) {
    // Metadata has whatever names its caller gave it, dots and all.
    if (at?.propertyNames !== undefined) return true;
    at = /^\[\d+\]$/.test(step) ? at?.items : at?.properties?.[step];
  }
  return at !== undefined;
}
