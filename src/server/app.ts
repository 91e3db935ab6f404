import { OPERATIONS, type Operation, type OperationName } from '../contract/operations.js';
import { type Refusal, RefusalError, refuse } from '../core/errors.js';
import { type Access, isLost, isUnavailable, KeyRing, type Ledger } from '../ledger/index.js';
import { FailureLog } from './failure-log.js';
import { type Call, HANDLERS, type Reply } from './handlers/handlers.js';
import { check, readJson, readQuery } from './handlers/input.js';
import type { Answer, Incoming } from './http/exchange.js';
import { fetchHandler } from './http/fetch.js';
import { requestIdOf } from './http/request-id.js';
import { Metrics } from './metrics.js';
import { Exports } from './present/exports.js';
import { problem } from './present/problem.js';
import { fieldsOf, named } from './present/wire-refusal.js';
import { type Probes, probeRoutes } from './probes.js';
import { type Route, Router } from './router.js';

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AppOptions extends Probes {
  readonly ledger: Ledger;
  readonly log: Log;
}

/** The whole HTTP surface, to be listened on with `listen` or mounted with `fetch`. */
export interface App {
  /** Answers a request; never rejects. */
  respond(incoming: Incoming): Promise<Answer>;
  /** The same as a fetch handler, which mounts in any application. */
  fetch(request: Request): Promise<Response>;
}

interface Parts {
  readonly ledger: Ledger;
  readonly log: Log;
  readonly failures: FailureLog;
  readonly keys: KeyRing;
  readonly metrics: Metrics;
  readonly exports: Exports;
}

type Success = Exclude<Reply<Operation>, { readonly refusal: unknown }>;

type AnyHandler = (call: Call<Operation>) => Promise<Reply<Operation>>;

export function createApp({ ledger, log, ...probes }: AppOptions): App {
  const keys = new KeyRing(ledger.engine.keys);
  const failures = new FailureLog(log);
  ledger.reportWrites({
    failing: (cause, fault) => log.error({ err: cause }, `writes fail: ${fault}`),
    working: () => log.info({}, 'writes work again'),
  });
  const metrics = new Metrics(ledger);
  const parts = { ledger, log, failures, keys, metrics, exports: new Exports() };
  const operations = Object.entries(OPERATIONS).map(([name, row]) =>
    operationRoute(parts, name as OperationName, row),
  );
  const others = probeRoutes(parts.metrics, ledger, probes).map((route) =>
    guarded(route, failures),
  );
  const router = new Router([...operations, ...others]);
  const respond = (incoming: Incoming) => answer(router, incoming);
  return { respond, fetch: fetchHandler(respond) };
}

/** Every route's answer is one that never rejects. */
function answer(router: Router, incoming: Incoming): Promise<Answer> {
  const requestId = requestIdOf(incoming.header('x-request-id'));
  const match = router.match(incoming.method, incoming.path);
  if ('route' in match) return match.route.answer(incoming, match.params, requestId);
  return Promise.resolve(unrouted(match.allowed, requestId));
}

function guarded(route: Route, failures: FailureLog): Route {
  return {
    ...route,
    answer: (incoming, params, requestId) =>
      route
        .answer(incoming, params, requestId)
        .catch((error: unknown) =>
          problem(named(toRefusal(error, failures, requestId), NO_FIELDS), requestId),
        ),
  };
}

/** A path that exists with another method is told so (RFC 9110 section 15.5.6). */
function unrouted(allowed: readonly string[], requestId: string): Answer {
  if (allowed.length === 0) return problem(NO_ROUTE, requestId);
  const message = `This route answers ${allowed.join(' and ')} only. Check the method.`;
  const refused = problem(refuse('method_not_allowed', message), requestId);
  return { ...refused, headers: { ...refused.headers, allow: allowed.join(', ') } };
}

function operationRoute(parts: Parts, name: OperationName, row: Operation): Route {
  const handler = HANDLERS[name] as AnyHandler;
  const fields = fieldsOf(row.query, row.body);
  return {
    method: row.method,
    path: row.path,
    async answer(incoming, params, requestId) {
      const started = performance.now();
      let reply: Reply<Operation>;
      try {
        reply = await carryOut(parts, row, handler, incoming, params);
      } catch (error) {
        reply = { refusal: toRefusal(error, parts.failures, requestId) };
      }
      const result =
        'refusal' in reply
          ? problem(named(reply.refusal, fields), requestId)
          : toAnswer(reply, row, requestId);
      const milliseconds = performance.now() - started;
      parts.metrics.answered(name, result.status, milliseconds / 1000);
      if ('replayed' in reply && reply.replayed) parts.metrics.replayed();
      parts.log.debug(
        { requestId, operation: name, status: result.status, milliseconds },
        'answered',
      );
      return result;
    },
  };
}

/** The checks in the order of contract Q12: key, scope, shape; then what the ledger says. */
async function carryOut(
  parts: Parts,
  row: Operation,
  handler: AnyHandler,
  incoming: Incoming,
  params: Readonly<Record<string, string>>,
): Promise<Reply<Operation>> {
  const key = incoming.header('x-api-key');
  if (key === undefined || key === '') return { refusal: NO_KEY };
  let access = parts.keys.authenticate(key);
  if (access instanceof Promise) access = await access;
  if (access === undefined) return { refusal: BAD_KEY };
  if (!isAllowed(access, row)) return { refusal: outOfScope(row) };
  const rawQuery = readQuery(incoming.query);
  if ('refusal' in rawQuery) return rawQuery;
  const query = check(row.query, rawQuery.value);
  if ('refusal' in query) return query;
  const text = row.method === 'get' ? NO_BODY : await incoming.text();
  if ('refusal' in text) return text;
  const json = readJson(text.value, incoming.header('content-type'));
  if ('refusal' in json) return json;
  const body = check(row.body, json.value);
  if ('refusal' in body) return body;
  const { ledger, exports } = parts;
  const { store } = access;
  const accept = incoming.header('accept') ?? '';
  // Awaited here, for handing a promise on takes three turns of the queue instead of one.
  const values = { query: query.value, body: body.value };
  return await handler({ ledger, store, params, ...values, accept, exports });
}

function isAllowed({ scopes }: Access, { scope }: Operation): boolean {
  return scopes.has('*') || scopes.has(scope);
}

function toAnswer(reply: Success, row: Operation, requestId: string): Answer {
  if ('csv' in reply) {
    const headers = { 'content-type': 'text/csv; charset=utf-8', 'x-request-id': requestId };
    return { status: row.status, headers, body: reply.csv };
  }
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-request-id': requestId,
  };
  if (reply.replayed) headers['x-idempotent-replay'] = 'true';
  return { status: row.status, body: JSON.stringify(reply.body), headers };
}

/** What the caller may know of a failure; the cause goes to the log alone. */
function toRefusal(error: unknown, failures: FailureLog, requestId: string): Refusal {
  if (error instanceof RefusalError) return error.refusal;
  failures.note(error, requestId);
  if (isLost(error)) return AWAY;
  return isUnavailable(error) ? TROUBLED : FAILED;
}

function outOfScope({ scope }: Operation): Refusal {
  return refuse(
    'insufficient_scope',
    `This API key lacks the scope ${scope}. Use one that has it.`,
  );
}

const NO_FIELDS: ReadonlySet<string> = new Set();
const NO_BODY = { value: '' };
const NO_ROUTE = refuse('not_found', 'There is no such route. See /openapi.json for all of them.');
const NO_KEY = refuse('missing_api_key', 'Send your API key in the header x-api-key.');
const BAD_KEY = refuse(
  'invalid_api_key',
  'This API key is unknown or revoked. Check it, or create one with: tallystick keys create',
);
const AWAY = refuse('unavailable', 'The database cannot be reached. Try again after a moment.');
const TROUBLED = refuse(
  'unavailable',
  'The database did not carry this out in time, or has no room. Try again after a moment, and ask for less at once if it stays so.',
);
const FAILED = refuse(
  'internal_error',
  'The server failed; the request id leads to the cause in its log. Try again with the same idempotency key.',
);
