import { readFileSync } from 'node:fs';
import { type Ledger, pendingMigrations, schemaFault, within } from '../ledger/index.js';
import type { Answer } from './http/exchange.js';
import type { Metrics } from './metrics.js';
import { referencePage } from './reference.js';
import type { Route } from './router.js';

export interface Probes {
  /** True once the server has begun to stop: a balancer must send nothing more. */
  readonly isDraining: () => boolean;
}

const READY_TIMEOUT_MS = 2_000;
/** For how long it is taken for granted that all is well. */
const READY_AGE_MS_MAX = 1_000;
const OPENAPI = new URL('../../openapi.json', import.meta.url);

/** Routes for operators and readers; none needs a key, and none shows data. */
export function probeRoutes(metrics: Metrics, ledger: Ledger, probes: Probes): Route[] {
  const openapi = readFileSync(OPENAPI, 'utf8');
  const page = referencePage(JSON.parse(openapi));
  const ask = readinessOf(ledger);
  return [
    route('/livez', async () => json({ status: 'ok' })),
    route('/readyz', () => readiness(ask, probes)),
    route('/metrics', async () =>
      text(await metrics.registry.metrics(), metrics.registry.contentType),
    ),
    route('/openapi.json', async () => text(openapi, 'application/json')),
    route('/', async () => ({ status: 302, headers: { location: '/reference' }, body: '' })),
    route('/reference', async () => ({
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
        'x-content-type-options': 'nosniff',
      },
      body: page,
    })),
  ];
}

function route(path: string, answer: () => Promise<Answer>): Route {
  return { method: 'get', path, answer };
}

function text(body: string, type: string): Answer {
  return { status: 200, headers: { 'content-type': type }, body };
}

function json(value: unknown): Answer {
  return text(JSON.stringify(value), 'application/json');
}

async function readiness(ask: () => Promise<string | undefined>, probes: Probes): Promise<Answer> {
  const fault = probes.isDraining() ? 'draining' : await ask();
  if (fault === undefined) return json({ status: 'ready' });
  const { headers, body } = json({ status: 'not ready', reason: fault });
  return { status: 503, headers: { ...headers, 'retry-after': '1' }, body };
}

/** That all is well is asked at most once a second: whoever asks needs no key, and it writes. */
function readinessOf(ledger: Ledger): () => Promise<string | undefined> {
  let asked: Promise<string | undefined> | undefined;
  return async () => {
    asked ??= within(READY_TIMEOUT_MS, databaseFault(ledger), 'the database does not answer');
    const answer = asked;
    const fault = await answer;
    const forget = () => {
      if (asked === answer) asked = undefined;
    };
    if (fault === undefined) setTimeout(forget, READY_AGE_MS_MAX).unref();
    else forget();
    return fault;
  };
}

async function databaseFault(ledger: Ledger): Promise<string | undefined> {
  const { keys } = ledger.engine;
  try {
    const fault = await schemaFault(keys);
    if (fault !== undefined) return fault;
    if ((await pendingMigrations(keys)).length > 0) return 'migrations are pending';
  } catch {
    return 'the database cannot be reached';
  }
  return ledger.writeFault();
}
