import { readFileSync } from 'node:fs';
import { type Ledger, pendingMigrations } from '../ledger/index.js';
import type { Answer } from './exchange.js';
import type { Metrics } from './metrics.js';
import { referencePage } from './reference.js';
import type { Route } from './router.js';
import { within } from './within.js';

export interface Probes {
  /** True once the server has begun to stop: a balancer must send nothing more. */
  readonly isDraining: () => boolean;
}

const READY_TIMEOUT_MS = 2_000;
const OPENAPI = new URL('../../openapi.json', import.meta.url);

/** Routes for operators and readers; none needs a key, and none shows data. */
export function probeRoutes(metrics: Metrics, ledger: Ledger, probes: Probes): Route[] {
  const openapi = readFileSync(OPENAPI, 'utf8');
  const page = referencePage(JSON.parse(openapi));
  return [
    route('/livez', async () => json({ status: 'ok' })),
    route('/readyz', () => readiness(ledger, probes)),
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

async function readiness(ledger: Ledger, probes: Probes): Promise<Answer> {
  const fault = probes.isDraining() ? 'draining' : await databaseFault(ledger);
  if (fault === undefined) return json({ status: 'ready' });
  const { headers, body } = json({ status: 'not ready', reason: fault });
  return { status: 503, headers: { ...headers, 'retry-after': '1' }, body };
}

function databaseFault(ledger: Ledger): Promise<string | undefined> {
  const asked = pendingMigrations(ledger.engine.reader).then(
    (pending) => (pending.length > 0 ? 'migrations are pending' : undefined),
    () => 'the database cannot be reached',
  );
  return within(READY_TIMEOUT_MS, asked, 'the database does not answer');
}
