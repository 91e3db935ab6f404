import { expect, test } from 'vitest';
import { newId } from '../../src/store/ids.js';
import type { Endpoint } from '../../src/store/webhooks/endpoints.js';
import type { Attempted } from '../../src/store/webhooks/outbox.js';
import { EndpointHealth } from '../../src/webhooks/endpoint-health.js';

/** When an endpoint is shown as failing. */

const ENDPOINT = { storeId: newId(), id: newId(), url: 'https://a.example/', failingSince: null };

/** Notes results one at a time, and tells after how many its owner is shown a failing endpoint. */
async function failures(results: readonly Partial<Attempted>[]): Promise<number | undefined> {
  let sent = 0;
  const db = { query: async () => ({ rows: [{ sent: ++sent }] }) };
  const health = new EndpointHealth(db, { warn: () => {} });
  let endpoint = ENDPOINT as unknown as Endpoint;
  for (const [index, result] of results.entries()) {
    endpoint = await health.note(endpoint, [result as Attempted]);
    if (endpoint.failingSince === null) continue;
    expect(sent).toBe(1);
    return index + 1;
  }
  return undefined;
}

const failed = { status: 'retrying', tries: 1 } as const;
const delivered = { status: 'delivered', tries: 1 } as const;

test('five events that fail in a row, and no fewer, are a failing endpoint', async () => {
  expect(await failures(Array(9).fill(failed))).toBe(5);
  const interrupted = [failed, failed, failed, failed, delivered, failed, failed, failed, failed];
  expect(await failures(interrupted)).toBeUndefined();
});

test('an event that fails again after a wait is one at once', async () => {
  expect(await failures([failed, { ...failed, tries: 2 }])).toBe(2);
});
