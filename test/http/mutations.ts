import fc from 'fast-check';

/** Requests made from openapi.json: right ones, each then spoilt in one place or left as it is. */

export type Schema = {
  type?: string | string[];
  $ref?: string;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  oneOf?: Schema[];
  anyOf?: Schema[];
  propertyNames?: Schema;
  additionalProperties?: Schema | false;
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

interface Described {
  readonly operationId: string;
  readonly parameters?: { name: string; in: string; required: boolean; schema: Schema }[];
  readonly requestBody?: { content: { 'application/json': { schema: Schema } } };
}

/** An operation of the document, with where it is. */
export interface DescribedRoute extends Described {
  readonly method: string;
  readonly path: string;
}

export function routesOf(document: {
  paths: Record<string, Record<string, Described>>;
}): DescribedRoute[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method, path })),
  );
}

export interface Mutant {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  /** The text of the body; undefined sends none. */
  readonly body: string | undefined;
  readonly contentType: string | undefined;
}

/** Ids that exist, so that not every mutant ends at the first check. */
export interface Pool {
  readonly accounts: readonly string[];
  readonly transactions: readonly string[];
  readonly holds: readonly string[];
  readonly grants: readonly string[];
  readonly webhooks: readonly string[];
  readonly events: readonly string[];
}

/** Ids of any kind, which are cursors too, and in the wrong place ids of nothing. */
const allOf = (pool: Pool) => Object.values(pool).flat() as string[];

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

/** The first of a kind more often, so that what is named together now and then belongs together. */
const oneOf = (ids: readonly string[]) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(ids[0]!) },
    { weight: 2, arbitrary: fc.constantFrom(...ids) },
  );

/** A key or a value of metadata. */
const NOTE = fc.string({ minLength: 1, maxLength: 8 });

function arbitraryOf(schema: Schema, name: string, pool: Pool): fc.Arbitrary<unknown> {
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) {
    return fc.oneof(...choices.map((choice) => arbitraryOf(choice, name, pool)));
  }
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  const known = /^(account|transaction|hold|grant)_id$/.exec(name);
  if (known !== null) return oneOf(pool[`${known[1]}s` as keyof Pool]);
  if (/^(starting_after|ending_before)$/.test(name)) {
    return fc.constantFrom(...allOf(pool), 'cce_x');
  }
  switch (schema.type) {
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 100 });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      if (name === 'entries') return fc.oneof(arbitraryOf(schema, '', pool), balanced(pool));
      const minLength = schema.minItems ?? 0;
      return fc.array(arbitraryOf(schema.items!, '', pool), {
        minLength,
        maxLength: minLength + 2,
      });
    }
    case 'object':
      return schema.additionalProperties ? fc.dictionary(NOTE, NOTE) : objectOf(schema, pool);
    default:
      return name === 'url' ? URLS : textOf(schema);
  }
}

/** Two lines that sum to zero, which lines of chance hardly ever do. */
function balanced({ accounts }: Pool): fc.Arbitrary<unknown> {
  const amount = fc.integer({ min: 1, max: 9 }).map(String);
  return fc
    .tuple(fc.shuffledSubarray([...accounts], { minLength: 2 }), amount)
    .map(([[from, to], amount]) => [
      { account_id: from, side: 'debit', amount },
      { account_id: to, side: 'credit', amount },
    ]);
}

/** Addresses as they are, for a name would be asked of a resolver. */
const URLS = fc.constantFrom(
  'https://93.184.215.14/h',
  'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:8443/',
  'http://93.184.215.14/h',
  'https://192.168.0.1/h',
  'https://user:pass@93.184.215.14/',
);

// Most within what people live to see; further out a clock would stay where it was put.
const INSTANTS = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.date({
      min: new Date('2020-01-01'),
      max: new Date('2040-01-01'),
      noInvalidDate: true,
    }),
  },
  fc.date({ noInvalidDate: true }),
);

function textOf(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === 'date-time') return INSTANTS.map((date) => date.toISOString());
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

/** The path with ids in it: as a rule of the right kind, now and then of another, or of none. */
function pathOf(path: string, pool: Pool): fc.Arbitrary<string> {
  const strange = NASTY.map((value) => {
    return (
      Buffer.from(textFor(value))
        .toString()
        .replace(/[/?#\\]/g, '') || 'x'
    );
  });
  const ids = [...path.matchAll(/(\w+)\/\{\w+\}/g)].map(([, kind]) =>
    fc.oneof(
      { weight: 12, arbitrary: oneOf(pool[kind as keyof Pool]) },
      { weight: 1, arbitrary: fc.constantFrom(...allOf(pool)) },
      { weight: 1, arbitrary: strange },
    ),
  );
  return fc.tuple(...ids).map((chosen) => {
    let next = 0;
    return path.replace(/\{\w+\}/g, () => encodeURIComponent(chosen[next++]!));
  });
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([key, child]) =>
    pathsOf(child, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return [path, ...inner];
}

// Half stay right, for a request has two values, and what ends at a first check shows little.
const KEEP = ['keep', 'keep', 'keep', 'keep', 'keep'] as const;

/** How a right value is spoilt: replaced, removed or added to, at one of its places. */
const spoiling = fc.record({
  how: fc.constantFrom(...KEEP, 'replace', 'replace', 'replace', 'remove', 'add'),
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

/** What takes input can be spoilt in more ways, so more mutants are made of it. */
export function anyMutant(routes: readonly DescribedRoute[], pool: Pool): fc.Arbitrary<Mutant> {
  return fc.oneof(
    ...routes.map((route) => {
      const hasInput = route.requestBody !== undefined || queryOf(route).length > 0;
      return { weight: hasInput ? 3 : 1, arbitrary: mutants(route, pool) };
    }),
  );
}

/** Few pages have both cursors, and what has one of the wrong kind shows nothing else. */
function withCursors([query, which]: [unknown, number]): unknown {
  const { starting_after, ending_before, ...rest } = query as Record<string, unknown>;
  if (which === 0) return query;
  if (which === 1 && starting_after !== undefined) return { ...rest, starting_after };
  return rest;
}

const queryOf = (route: DescribedRoute) =>
  (route.parameters ?? []).filter((parameter) => parameter.in === 'query');

function mutants(route: DescribedRoute, pool: Pool): fc.Arbitrary<Mutant> {
  const schema = route.requestBody?.content['application/json'].schema;
  const parameters = queryOf(route);
  const query: Schema = {
    type: 'object',
    properties: Object.fromEntries(parameters.map(({ name, schema }) => [name, schema])),
    required: parameters.filter(({ required }) => required).map(({ name }) => name),
  };
  return fc
    .record({
      path: pathOf(route.path, pool),
      query: fc.tuple(objectOf(query, pool), fc.nat({ max: 3 })).map(withCursors),
      spoilQuery: spoiling,
      body: schema === undefined ? fc.constant(undefined) : objectOf(schema, pool),
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
        operation: route.operationId,
        method: route.method.toUpperCase(),
        path: made.path,
        query: pairs.map(([name, item]) => [name, textFor(item)] as const),
        body: route.method === 'get' ? undefined : text,
        contentType:
          made.type === 0 ? 'text/plain' : made.type === 1 ? undefined : 'application/json',
      };
    });
}

function textFor(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
