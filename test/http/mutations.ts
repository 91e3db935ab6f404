import fc from 'fast-check';

/** Requests made from openapi.json: right ones, each then spoilt in one place or left as it is. */

export type Schema = {
  type?: string | string[];
  $ref?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  examples?: unknown[];
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  format?: string;
};

export interface Described {
  readonly operationId: string;
  readonly parameters?: { name: string; in: string; required: boolean; schema: Schema }[];
  readonly requestBody?: { content: { 'application/json': { schema: Schema } } };
}

export interface Mutant {
  readonly operation: string;
  readonly id: string;
  readonly query: readonly (readonly [string, string])[];
  /** The text of the body; undefined sends none. */
  readonly body: string | undefined;
  readonly contentType: string | undefined;
}

/** Ids that exist, so that not every mutant ends at the first check. */
export interface Pool {
  readonly accounts: readonly string[];
  readonly transactions: readonly string[];
}

const NASTY: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    '',
    ' ',
    '0',
    '-1',
    '1.5',
    '1e3',
    'NaN',
    '\0',
    '\ud800',
    '😀',
    '__proto__',
    'x'.repeat(300),
    '9'.repeat(39),
    '9'.repeat(38),
    '2026-02-30',
    '0000-01-01',
    'cca_',
    'cct_',
    'null',
    '\u2028',
    0,
    -1,
    1,
    1.5,
    1e308,
    -0,
    true,
    false,
    null,
    [],
    {},
    [[]],
    { __proto__: null, a: 1 },
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.jsonValue({ maxDepth: 2 }),
);

function arbitraryOf(schema: Schema, name: string, pool: Pool): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (name === 'account_id') return fc.constantFrom(...pool.accounts);
  if (name === 'transaction_id') return fc.constantFrom(...pool.transactions);
  if (/^(starting_after|ending_before)$/.test(name)) {
    return fc.constantFrom(...pool.accounts, ...pool.transactions, 'cce_x');
  }
  switch (schema.type) {
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 100 });
    case 'array': {
      const minLength = schema.minItems ?? 0;
      return fc.array(arbitraryOf(schema.items!, '', pool), {
        minLength,
        maxLength: minLength + 2,
      });
    }
    case 'object':
      return objectOf(schema, pool);
    default:
      return textOf(schema);
  }
}

function textOf(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === 'date-time') {
    return fc.date({ noInvalidDate: true }).map((date) => date.toISOString());
  }
  if (schema.pattern !== undefined) {
    const small = fc.integer({ min: 1, max: 9 }).map(String);
    return fc.oneof({ weight: 4, arbitrary: small }, fc.stringMatching(new RegExp(schema.pattern)));
  }
  return fc.string({ minLength: 1, maxLength: Math.min(schema.maxLength ?? 20, 20) });
}

function objectOf(schema: Schema, pool: Pool): fc.Arbitrary<unknown> {
  const entries = Object.entries(schema.properties ?? {});
  const fields = entries.map(([name, field]) => [name, arbitraryOf(field, name, pool)] as const);
  return fc.record(Object.fromEntries(fields), { requiredKeys: schema.required ?? [] });
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, child]) =>
    pathsOf(child, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inner];
}

/** How a right value is spoilt: replaced, removed or added to, at one of its places. */
const spoiling = fc.record({
  how: fc.constantFrom('keep', 'keep', 'replace', 'replace', 'replace', 'remove', 'add'),
  place: fc.nat({ max: 40 }),
  value: NASTY,
  name: fc.oneof(
    fc.constantFrom('__proto__', 'constructor', 'id', ''),
    fc.string({ maxLength: 8 }),
  ),
});
type Spoiling = typeof spoiling extends fc.Arbitrary<infer Value> ? Value : never;

function spoil(root: unknown, { how, place, value, name }: Spoiling): unknown {
  if (how === 'keep') return root;
  const copy = structuredClone(root);
  const paths = pathsOf(copy);
  const path = paths[place % paths.length]!;
  if (path.length === 0) return how === 'replace' ? value : copy;
  const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as never)[key], copy) as never;
  const last = path.at(-1)! as never;
  if (how === 'replace') (parent[last] as unknown) = value;
  else if (how === 'remove') delete parent[last];
  else Object.defineProperty(parent, name, { value, enumerable: true, configurable: true });
  return copy;
}

const mangling = fc.record({
  how: fc.nat({ max: 30 }),
  at: fc.nat({ max: 200 }),
  with: fc.string({ unit: 'binary', maxLength: 3 }),
});

/** Now and then the text itself is broken, after it was made from a value. */
function mangle(text: string, { how, at, with: other }: { how: number; at: number; with: string }) {
  if (how === 0) return text.slice(0, at);
  if (how === 1) return text.slice(0, at) + other + text.slice(at);
  return text;
}

export function mutants(operation: Described, pool: Pool): fc.Arbitrary<Mutant> {
  const schema = operation.requestBody?.content['application/json'].schema;
  const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
  const query: Schema = {
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  };
  const ids = [...pool.accounts, ...pool.transactions];
  const body = schema === undefined ? fc.constant(undefined) : objectOf(schema, pool);
  const strangeId = NASTY.map((value) => {
    return (
      Buffer.from(textFor(value))
        .toString()
        .replace(/[/?#\\]/g, '') || 'x'
    );
  });
  return fc
    .record({
      id: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...ids) }, strangeId),
      query: objectOf(query, pool),
      spoilQuery: spoiling,
      body,
      spoilBody: spoiling,
      mangling,
      type: fc.nat({ max: 40 }),
    })
    .map((made) => {
      const spoilt = spoil(made.query, made.spoilQuery);
      const pairs = typeof spoilt === 'object' && spoilt !== null ? Object.entries(spoilt) : [];
      const value = spoil(made.body, made.spoilBody);
      const text = value === undefined ? undefined : mangle(JSON.stringify(value), made.mangling);
      return {
        operation: operation.operationId,
        id: made.id,
        query: pairs.map(([name, item]) => [name, textFor(item)] as const),
        body: text,
        contentType:
          made.type === 0 ? 'text/plain' : made.type === 1 ? undefined : 'application/json',
      };
    });
}

function textFor(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
