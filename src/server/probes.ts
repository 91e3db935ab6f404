import { readFileSync } from 'node:fs';
import type { Hono } from 'hono';
import { type Ledger, pendingMigrations } from '../ledger/index.js';
import type { Metrics } from './metrics.js';
import { referencePage } from './reference.js';

export interface Probes {
  /** True once the server has begun to stop: a balancer must send nothing more. */
  readonly isDraining: () => boolean;
}

const READY_TIMEOUT_MS = 2_000;
const OPENAPI = new URL('../../openapi.json', import.meta.url);

/** Routes for operators and readers; none needs a key, and none shows data. */
export function addProbes(app: Hono, metrics: Metrics, ledger: Ledger, probes: Probes): void {
  const openapi = readFileSync(OPENAPI, 'utf8');
  const page = referencePage(JSON.parse(openapi));
  app.get('/livez', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    const fault = probes.isDraining() ? 'draining' : await databaseFault(ledger);
    if (fault === undefined) return c.json({ status: 'ready' });
    return c.json({ status: 'not ready', reason: fault }, 503, { 'retry-after': '1' });
  });
  app.get('/metrics', async (c) =>
    c.body(await metrics.registry.metrics(), 200, { 'content-type': metrics.registry.contentType }),
  );
  app.get('/openapi.json', (c) => c.body(openapi, 200, { 'content-type': 'application/json' }));
  app.get('/', (c) => c.redirect('/reference'));
  app.get('/reference', (c) =>
    c.html(page, 200, {
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
    }),
  );
}

async function databaseFault(ledger: Ledger): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, READY_TIMEOUT_MS, 'the database does not answer');
  });
  const asked = pendingMigrations(ledger.engine.reader).then(
    (pending) => (pending.length > 0 ? 'migrations are pending' : undefined),
    () => 'the database cannot be reached',
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
