import { constructWebhookEventEntity } from 'creem/webhooks.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../harness/cluster.js';
import { until } from '../harness/until.js';
import { call, KEY, type Running, spawnMain, startEmbedded, startReceiver } from './harness.js';

let server: Running;

beforeAll(async () => {
  server = await startEmbedded();
});
afterAll(() => server.close());

const webhooks = async () =>
  (await call(server.url, 'GET', '/v1/webhooks')).body.items as { id: string }[];

const listenTo = (target: string) =>
  spawnMain(
    ['listen', '--forward-to', target, '--url', server.url],
    { TALLYSTICK_API_KEY: KEY },
    /Signing secret: whsec_/,
  );

async function openAccount(): Promise<void> {
  const body = { customer_id: `c${Math.random()}`, initial_balance: '5' };
  await call(server.url, 'POST', '/v1/customer-credits/accounts', body);
}

test.each(['SIGINT', 'SIGTERM'] as const)(
  'listen forwards what happens, and deletes its webhook on %s',
  async (signal) => {
    const receiver = await startReceiver();
    const { child, output, exited } = await listenTo(receiver.url);
    const secret = /Signing secret: (\S+)/.exec(output())![1]!;
    expect(await webhooks()).toHaveLength(1);
    await openAccount();
    await until('the event', () => receiver.got.length > 0);
    const { text, headers } = receiver.got[0]!;
    const event = await constructWebhookEventEntity(text, headers, secret);
    expect(event.eventType).toBe('credits.granted');
    await until('it is printed', () => output().includes('-> 200'));
    child.kill(signal);
    expect(await exited).toBe(0);
    expect(await webhooks()).toEqual([]);
    expect(receiver.got).toHaveLength(1);
    await receiver.close();
  },
);

test('listen acknowledges with 503 where nobody answers on this machine', async () => {
  const { child, output, exited } = await listenTo(`http://127.0.0.1:${await freePort()}/`);
  await openAccount();
  await until('it is printed', () => output().includes('-> 503'));
  const [webhook] = await webhooks();
  const path = `/v1/webhooks/${webhook!.id}/deliveries?status=failed`;
  await until('it is acknowledged', async () => {
    const { body } = await call(server.url, 'GET', path);
    return (body.data as unknown[]).length === 1;
  });
  child.kill('SIGINT');
  expect(await exited).toBe(0);
});
