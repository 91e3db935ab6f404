import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ServerProcess, startServer } from '../e2e/harness.js';
import { createSpread, dropSpread, machineUrls } from '../harness/citus.js';
import { Machine } from '../harness/machine.js';
import { until } from '../harness/until.js';
import { call, startReceiver } from '../webhooks/harness.js';
import {
  CITUS,
  CLEAN,
  type LoadedStore,
  makeKeys,
  openStores,
  progressOf,
  settle,
  startAll,
  verified,
} from './stores.js';

/**
 * Machines of the cluster are killed while stores on all of them are written to. It runs only
 * where CITUS_KILL says that nobody needs the cluster, and that its machines are all this one.
 */

const STORES = 4;
const SEED = 40;
const mayKill = CITUS !== undefined && process.env.CITUS_KILL === 'yes';

describe.skipIf(!mayKill)('on Citus', { timeout: 600_000 }, () => {
  const name = `tallystick_killed_${process.pid}`;
  let url: string;
  let server: ServerProcess;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let stores: LoadedStore[];

  beforeAll(async () => {
    url = await createSpread(CITUS!.url, name);
    receiver = await startReceiver();
    const keys = await makeKeys(url, STORES);
    server = await startServer({ DATABASE_URL: url, TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1' });
    stores = await openStores(server.url, keys, SEED);
    for (const { key } of stores) {
      await call(server.url, 'POST', '/v1/webhooks', { url: receiver.url }, key);
    }
  });
  afterAll(async () => {
    await server.kill('SIGKILL');
    await receiver.close();
    await dropSpread(CITUS!.url, name);
  });

  test.each(['workers', 'coordinator'])(
    'the %s killed while writing lose nothing that was acknowledged',
    async (kind) => {
      const urls = await machineUrls(url);
      startAll(stores);
      await until('all are written to', progressOf(stores, 20));
      for (const target of kind === 'workers' ? urls.workers : [urls.coordinator]) {
        const machine = await Machine.at(target);
        await machine.kill();
        await machine.start();
        await until('all are written to again', progressOf(stores, 20));
      }
      expect(await settle(stores)).toEqual([]);
      expect(await verified(url)).toEqual(CLEAN);
      const acknowledged = stores.flatMap(({ load }) =>
        load.writes.map(({ transaction }) => transaction!),
      );
      // Delivery is at least once, so more may have come; none may be missing.
      const missing = () => {
        const told = new Set(receiver.got.map(({ event }) => event.object.id));
        return acknowledged.filter((id) => !told.has(id));
      };
      await until('each write is told', () => missing().length === 0);
    },
  );
});
