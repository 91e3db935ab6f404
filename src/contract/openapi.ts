import { z } from 'zod';
import { ERROR_TABLE, errorRow } from '../core/errors.js';
import { OPERATIONS, type Operation } from './operations.js';
import { errorEnvelope } from './schema.js';

/** What every operation can refuse, whatever its row says. */
const COMMON_ERRORS = [
  'headers_too_large',
  'expectation_failed',
  'missing_api_key',
  'invalid_api_key',
  'insufficient_scope',
  'request_timeout',
  'validation_error',
  'overloaded',
  'unavailable',
  'internal_error',
] as const;
const BODY_ERRORS = ['payload_too_large', 'unsupported_media_type', 'invalid_json'] as const;
/** What an operation can refuse that moves credits. */
const MOVEMENT_ERRORS = ['account_busy'] as const;

type Json = Record<string, unknown>;

/** Makes the OpenAPI 3.1 document from the table of operations. */
export function openapi(version: string): Json {
  const components: Json = { Error: schemaOf(errorEnvelope, 'output', {}) };
  const paths: Record<string, Json> = {};
  for (const [name, row] of Object.entries(OPERATIONS)) {
    const path = row.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [row.method]: operationOf(name, row, components) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tallystick',
      version,
      description: 'Customer credits on a double-entry ledger. Amounts are integers as text.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://127.0.0.1:4400' }],
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: { apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' } },
      schemas: components,
    },
  };
}

function operationOf(name: string, row: Operation, components: Json): Json {
  const hasBody = row.method !== 'get' && Object.keys(shapeOf(row.body)).length > 0;
  const parameters = [...pathParameters(row.path), ...queryParameters(row.query)];
  return {
    operationId: name,
    summary: row.summary,
    description: `Needs the scope \`${row.scope}\`.`,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(hasBody
      ? { requestBody: { required: true, ...content(schemaOf(row.body, 'input', components)) } }
      : {}),
    responses: {
      [row.status]: {
        description: 'Done',
        ...content(schemaOf(row.answer, 'output', components)),
      },
      ...errorResponses(row, hasBody),
    },
  };
}

function shapeOf(schema: z.ZodType): Record<string, z.ZodType> {
  return (schema as unknown as z.ZodObject).shape as Record<string, z.ZodType>;
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType): Json[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input', {}) as {
    properties?: Json;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function errorResponses(row: Operation, hasBody: boolean): Json {
  const moves = row.scope === 'credits:write' && row.method === 'post';
  const codes = new Set<string>([
    ...COMMON_ERRORS,
    ...(hasBody ? BODY_ERRORS : []),
    ...(moves ? MOVEMENT_ERRORS : []),
    ...row.errors,
  ]);
  const byStatus = new Map<number, string[]>();
  for (const { code } of ERROR_TABLE) {
    if (!codes.has(code)) continue;
    const { status, title } = errorRow(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}.`]);
  }
  const reference = content({ $ref: '#/components/schemas/Error' });
  return Object.fromEntries(
    [...byStatus].map(([status, titles]) => [
      status,
      { description: titles.join(' '), ...reference },
    ]),
  );
}

function content(schema: Json): Json {
  return { content: { 'application/json': { schema } } };
}

/** What a schema can say of how it is to be shown, where that is not what it checks. */
type Shown = Json & { integer?: Json; shownAs?: z.ZodType };

/** A schema with an id of its own goes to the components and is referred to. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const {
    $schema: _,
    $defs = {},
    ...rest
  } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      const { integer, shownAs, description } = jsonSchema as Shown;
      const shown =
        shownAs === undefined
          ? integer && { description, type: 'integer', ...integer }
          : schemaOf(shownAs, io, components);
      if (shown === undefined) return;
      for (const key of Object.keys(jsonSchema)) delete (jsonSchema as Json)[key];
      Object.assign(jsonSchema, shown);
    },
  }) as Json & { $defs?: Json };
  for (const [id, definition] of Object.entries($defs)) {
    const { id: _id, ...clean } = definition as Json;
    components[id] = JSON.parse(rewrite(clean));
  }
  if (typeof rest.id === 'string' && rest.type === 'object') {
    const { id, ...clean } = rest;
    components[id as string] = JSON.parse(rewrite(clean));
    return { $ref: `#/components/schemas/${id}` };
  }
  return JSON.parse(rewrite(rest));
}

function rewrite(schema: Json): string {
  return JSON.stringify(schema).replaceAll('#/$defs/', '#/components/schemas/');
}
