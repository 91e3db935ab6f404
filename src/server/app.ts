import { type Context, Hono } from 'hono';
import { OPERATIONS, type Operation, type OperationName } from '../contract/operations.js';
import { type Refusal, RefusalError, refuse } from '../core/errors.js';
import { type Access, isLost, KeyRing, type Ledger } from '../ledger/index.js';
import { type Call, HANDLERS, type Reply } from './handlers.js';
import { check, readJson, readQuery } from './input.js';
import { Metrics } from './metrics.js';
import { addProbes, type Probes } from './probes.js';
import { type Answer, problem } from './problem.js';
import { requestIdOf } from './request-id.js';

export interface Log {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AppOptions extends Probes {
  readonly ledger: Ledger;
  readonly log: Log;
}

interface Parts {
  readonly ledger: Ledger;
  readonly log: Log;
  readonly keys: KeyRing;
  readonly metrics: Metrics;
}

type AnyHandler = (call: Call<Operation>) => Promise<Reply<Operation>>;

/** Builds the whole HTTP surface as one fetch handler, which mounts anywhere. */
export function createApp({ ledger, log, ...probes }: AppOptions): Hono {
  const app = new Hono();
  const parts = {
    ledger,
    log,
    keys: new KeyRing(ledger.engine.reader),
    metrics: new Metrics(ledger),
  };
  for (const [name, row] of Object.entries(OPERATIONS)) {
    const handler = HANDLERS[name as OperationName] as AnyHandler;
    app.on(row.method, row.path, (c) => serve(parts, name, row, handler, c));
  }
  addProbes(app, parts.metrics, ledger, probes);
  addMethodRefusals(app);
  app.notFound((c) => send(problem(NO_ROUTE, requestIdOf(c.req.header('x-request-id')))));
  app.onError((error, c) => {
    const requestId = requestIdOf(c.req.header('x-request-id'));
    return send(problem(toRefusal(error, parts.log, requestId), requestId));
  });
  return app;
}

/** A path that exists with another method is told so (RFC 9110 section 15.5.6). */
function addMethodRefusals(app: Hono): void {
  const methods = new Map<string, string[]>();
  for (const { method, path } of app.routes) {
    methods.set(path, [...(methods.get(path) ?? []), method.toUpperCase()]);
  }
  for (const [path, allowed] of methods) {
    const message = `This route answers ${allowed.join(' and ')} only. Check the method.`;
    const refusal = refuse('method_not_allowed', message);
    app.all(path, (c) => {
      const answer = problem(refusal, requestIdOf(c.req.header('x-request-id')));
      return send({ ...answer, headers: { ...answer.headers, allow: allowed.join(', ') } });
    });
  }
}

async function serve(
  parts: Parts,
  name: string,
  row: Operation,
  handler: AnyHandler,
  c: Context,
): Promise<Response> {
  const started = performance.now();
  const requestId = requestIdOf(c.req.header('x-request-id'));
  let answer: Answer;
  try {
    const reply = await call(parts, row, handler, c);
    answer =
      'refusal' in reply ? problem(reply.refusal, requestId) : success(reply, row, requestId);
    if ('replayed' in reply && reply.replayed) parts.metrics.replayed();
  } catch (error) {
    answer = problem(toRefusal(error, parts.log, requestId), requestId);
  }
  const milliseconds = performance.now() - started;
  parts.metrics.answered(name, answer.status, milliseconds / 1000);
  parts.log.debug({ requestId, operation: name, status: answer.status, milliseconds }, 'answered');
  return send(answer);
}

/** The checks in the order of contract Q12: key, scope, shape; then what the ledger says. */
async function call(
  parts: Parts,
  row: Operation,
  handler: AnyHandler,
  c: Context,
): Promise<Reply<Operation>> {
  const key = c.req.header('x-api-key');
  if (key === undefined || key === '') return { refusal: NO_KEY };
  let access = parts.keys.authenticate(key);
  if (access instanceof Promise) access = await access;
  if (access === undefined) return { refusal: BAD_KEY };
  if (!isAllowed(access, row)) return { refusal: outOfScope(row) };
  const rawQuery = readQuery(c.req.url);
  if ('refusal' in rawQuery) return rawQuery;
  const query = check(row.query, rawQuery.value);
  if ('refusal' in query) return query;
  const json = row.method === 'get' ? { value: {} } : await readJson(c);
  if ('refusal' in json) return json;
  const body = check(row.body, json.value);
  if ('refusal' in body) return body;
  return handler({
    ledger: parts.ledger,
    store: access.store,
    id: c.req.param('id') ?? '',
    params: c.req.param(),
    query: query.value,
    body: body.value,
  });
}

function isAllowed({ scopes }: Access, { scope }: Operation): boolean {
  return scopes.has('*') || scopes.has(scope);
}

function success(
  reply: Extract<Reply<Operation>, { body: unknown }>,
  row: Operation,
  requestId: string,
): Answer {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-request-id': requestId,
  };
  if (reply.replayed) headers['x-idempotent-replay'] = 'true';
  return { status: row.status, body: JSON.stringify(reply.body), headers };
}

function send({ status, body, headers }: Answer): Response {
  return new Response(body, { status, headers });
}

/** What the caller may know of a failure; the cause goes to the log alone. */
function toRefusal(error: unknown, log: Log, requestId: string): Refusal {
  if (error instanceof RefusalError) return error.refusal;
  log.error({ requestId, err: error }, 'request failed');
  return isLost(error) ? AWAY : FAILED;
}

function outOfScope({ scope }: Operation): Refusal {
  return refuse(
    'insufficient_scope',
    `This API key lacks the scope ${scope}. Use one that has it.`,
  );
}

const NO_ROUTE = refuse('not_found', 'There is no such route. See /openapi.json for all of them.');
const NO_KEY = refuse('missing_api_key', 'Send your API key in the header x-api-key.');
const BAD_KEY = refuse(
  'invalid_api_key',
  'This API key is unknown or revoked. Check it, or create one with: tallystick keys create',
);
const AWAY = refuse('unavailable', 'The database cannot be reached. Try again after a moment.');
const FAILED = refuse(
  'internal_error',
  'The server failed; the request id leads to the cause in its log. Try again with the same idempotency key.',
);
