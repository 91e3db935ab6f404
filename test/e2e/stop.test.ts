import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until, WAIT_MS_MAX } from '../harness/until.js';
import { call, KEY, spawnMain, startReceiver } from '../webhooks/harness.js';
import { Cluster, embeddedDirectory, POSTGRES_BINARIES } from './harness.js';
import { silenceable } from './silence.js';

/** The end of a process is its own: SIGTERM ends it in time, whatever has not ended. */

const ENV = {
  PORT: '0',
  TALLYSTICK_API_KEY: KEY,
  TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1',
  TALLYSTICK_WEBHOOK_TIMEOUT: '60s',
};

type Spawned = Awaited<ReturnType<typeof spawnMain>>;

/** A stop takes 9 s at most; without a bound it would take for ever, also on an idle machine. */
async function endOf({ child, exited }: Spawned): Promise<number | null | 'never'> {
  child.kill('SIGTERM');
  let timer: NodeJS.Timeout | undefined;
  const never = new Promise<'never'>((resolve) => {
    timer = setTimeout(resolve, WAIT_MS_MAX, 'never');
  });
  const end = await Promise.race([exited, never]);
  clearTimeout(timer);
  if (end === 'never') child.kill('SIGKILL');
  return end;
}

const urlOf = ({ output }: Spawned) => /listens on (\S+)/.exec(output())![1]!;

async function openAccount(url: string): Promise<void> {
  const body = { customer_id: 'c', initial_balance: '5' };
  expect((await call(url, 'POST', '/v1/customer-credits/accounts', body)).status).toBe(201);
}

test.concurrent('a receiver that switches protocols keeps neither its deliveries nor the end', async () => {
  const receiver = await startReceiver((_, response) => {
    response.writeHead(101, { connection: 'upgrade', upgrade: 'x' }).end();
  });
  const directory = embeddedDirectory();
  const retry = { TALLYSTICK_WEBHOOK_RETRY: '0s,50ms,50ms' };
  const env = { ...ENV, ...retry, TALLYSTICK_DATA_DIR: directory };
  const server = await spawnMain(['serve'], env, /listens on/);
  const url = urlOf(server);
  const webhook = await call(url, 'POST', '/v1/webhooks', { url: receiver.url });
  await openAccount(url);
  const failed = `/v1/webhooks/${webhook.body.id}/deliveries?status=failed`;
  await until('all three attempts have failed', async () => {
    const { body } = await call(url, 'GET', failed);
    const [delivery] = body.data as { attempts: { response_status: number }[] }[];
    return delivery?.attempts.every(({ response_status }) => response_status === 101) ?? false;
  });
  expect(receiver.got).toHaveLength(3);
  expect(await endOf(server)).toBe(0);
  expect(server.output()).not.toContain('unfinished');
  await receiver.close();
});

test.concurrent('an attempt that hangs is cut short at the end', async () => {
  const receiver = await startReceiver(() => {});
  const env = { ...ENV, TALLYSTICK_DATA_DIR: embeddedDirectory() };
  const server = await spawnMain(['serve'], env, /listens on/);
  await call(urlOf(server), 'POST', '/v1/webhooks', { url: receiver.url });
  await openAccount(urlOf(server));
  await until('it hangs', () => receiver.got.length === 1);
  expect(await endOf(server)).toBe(0);
  await receiver.close();
});

describe.skipIf(POSTGRES_BINARIES === undefined)('with a database that falls silent', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.stop());

  test.concurrent('serve and deliver end with 0', async () => {
    const receiver = await startReceiver(() => {});
    const database = await silenceable(await cluster.database());
    const env = { ...ENV, DATABASE_URL: database.url, TALLYSTICK_WEBHOOK_WORKER: 'off' };
    const server = await spawnMain(['serve'], env, /listens on/);
    const deliver = await spawnMain(['deliver'], env, /delivers webhooks/);
    const url = urlOf(server);
    await call(url, 'POST', '/v1/webhooks', { url: receiver.url });
    await openAccount(url);
    await until('an attempt hangs', () => receiver.got.length === 1);
    database.silence();
    const write = openAccount(url).catch(() => {});
    expect(await Promise.all([endOf(server), endOf(deliver)])).toEqual([0, 0]);
    await write;
    database.close();
    await receiver.close();
  });

  test.concurrent('so does a server whose start hangs', async () => {
    const database = await silenceable(await cluster.database());
    database.silence();
    const silentFromTheStart = { ...ENV, DATABASE_URL: database.url };
    const server = await spawnMain(['serve'], silentFromTheStart, /^/);
    await until('it asks', () => database.connected());
    // It may give up the database by itself before its time is over.
    expect([0, 3]).toContain(await endOf(server));
    database.close();
  });
});
