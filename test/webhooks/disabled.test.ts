import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { AddressGuard } from '../../src/ledger/index.js';
import { sweepDeliveries } from '../../src/webhooks/delivery/retention.js';
import { openMemory } from '../harness/pglite.js';
import { until } from '../harness/until.js';
import { call, type Running, settingsOf, startReceiver, startServer } from './harness.js';

/** What happens while an endpoint is disabled waits for it, and its owner sees why and since when. */

let server: Running;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let answer: (response: import('node:http').ServerResponse) => void;
let webhook: string;
let account: string;
const warned: [Record<string, unknown>, string][] = [];

beforeAll(async () => {
  const settings = settingsOf({
    TALLYSTICK_WEBHOOK_RETRY: '0s,1h',
    TALLYSTICK_WEBHOOK_TIMEOUT: '10s',
  });
  const log = {
    warn: (fields: object, message: string) => void warned.push([{ ...fields }, message]),
  };
  const guard = new AddressGuard(settings.allow);
  server = await startServer(await openMemory(), settings, guard, log);
});
afterAll(() => server.close());

beforeEach(async () => {
  warned.length = 0;
  answer = (response) => response.end();
  receiver = await startReceiver((_, response) => answer(response));
  const opened = await api('POST', '/v1/customer-credits/accounts', {
    customer_id: `c${Math.random()}`,
    initial_balance: '100',
  });
  account = opened.body.id;
  webhook = (await api('POST', '/v1/webhooks', { url: receiver.url })).body.id;
});
afterEach(async () => {
  await api('DELETE', `/v1/webhooks/${webhook}`);
  await receiver.close();
});

const api = (method: string, path: string, body?: object) => call(server.url, method, path, body);
const get = async () => (await api('GET', `/v1/webhooks/${webhook}`)).body;
const set = async (status: 'enabled' | 'disabled') =>
  (await api('PATCH', `/v1/webhooks/${webhook}`, { status })).body;

async function deliveries(): Promise<{ id: string; status: string }[]> {
  const { body } = await api('GET', `/v1/webhooks/${webhook}/deliveries?limit=100`);
  return body.data as { id: string; status: string }[];
}
const statuses = async () => (await deliveries()).map(({ status }) => status);

async function debit(times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const body = { amount: '1', reference: 'r', idempotency_key: `k${Math.random()}` };
    await api('POST', `/v1/customer-credits/accounts/${account}/debit`, body);
  }
}
const balances = () => receiver.got.map(({ event }) => event.object.balance_after_minor_units);

test('what was committed meanwhile is delivered in order, once it is enabled', async () => {
  expect(await get()).toMatchObject({ disabled_reason: null, disabled_at: null });
  const before = Date.now();
  const disabled = await set('disabled');
  expect(disabled).toMatchObject({
    status: 'disabled',
    disabled_reason: expect.stringMatching(/API/),
  });
  expect(Date.parse(disabled.disabled_at as string)).toBeGreaterThan(before - 60_000);
  await debit(5);
  expect(await statuses()).toEqual(Array(5).fill('pending'));
  const [, one] = await deliveries();
  const resent = await api('POST', `/v1/webhooks/${webhook}/events/${one!.id}/resend`);
  expect(resent.body, 'it is due already').toMatchObject({ status: 'pending' });
  // Another change keeps why and since when.
  expect((await api('PATCH', `/v1/webhooks/${webhook}`, { name: 'n' })).body).toEqual({
    ...disabled,
    name: 'n',
  });
  expect(await set('disabled')).toEqual({ ...disabled, name: 'n' });
  // Another endpoint's event comes through: had these been sent, they would have come before.
  const other = await api('POST', '/v1/webhooks', { url: `${receiver.url}?other` });
  await debit(1);
  await until('the other endpoint has its event', () => receiver.got.length > 0);
  await api('DELETE', `/v1/webhooks/${other.body.id}`);
  expect(balances()).toEqual(['94']);
  expect(await set('enabled')).toMatchObject({ disabled_reason: null, disabled_at: null });
  await until('all have come', () => receiver.got.length >= 7);
  expect(balances().slice(1)).toEqual(['99', '98', '97', '96', '95', '94']);
  await until('all are delivered', async () =>
    (await statuses()).every((status) => status === 'delivered'),
  );
});

test('410 disables it with a line in the log, and what follows is kept', async () => {
  answer = (response) => response.writeHead(410).end();
  await debit(1);
  await until('it is disabled', async () => (await get()).status === 'disabled');
  const shown = await get();
  expect(shown.disabled_reason).toContain('410');
  expect(Date.parse(shown.disabled_at as string)).toBeGreaterThan(0);
  const lines = warned.filter(([, message]) => message.includes('410 Gone'));
  expect(lines).toEqual([
    [{ endpoint: expect.any(String), host: `127.0.0.1:${receiver.port}` }, expect.any(String)],
  ]);
  answer = (response) => response.end();
  await debit(2);
  expect(await statuses()).toEqual(['pending', 'pending', 'failed']);
  await set('enabled');
  await until(
    'both are delivered',
    async () => (await statuses()).join() === 'delivered,delivered,failed',
  );
  const gone = (await deliveries()).at(-1)!;
  await api('POST', `/v1/webhooks/${webhook}/events/${gone.id}/resend`);
  await until('that one too', async () => (await statuses()).at(-1) === 'delivered');
});

test('what waits for it is removed at the age of the retention, due or not', async () => {
  answer = (response) => response.writeHead(500).end();
  await debit(1);
  await until('one failed', async () => (await statuses()).join() === 'retrying');
  await set('disabled');
  await debit(1);
  const { reader } = server.ledger.engine;
  await sweepDeliveries(reader, 3_600_000, () => false);
  expect(await statuses()).toEqual(['pending', 'retrying']);
  await sweepDeliveries(reader, -3_600_000, () => false);
  expect(await statuses()).toEqual([]);
});

test('an attempt that was in flight is noted, and the endpoint is soon free again', async () => {
  const held: import('node:http').ServerResponse[] = [];
  answer = (response) => void held.push(response);
  await debit(3);
  await until('one is in flight', () => held.length === 1);
  await set('disabled');
  const { reader } = server.ledger.engine;
  const lease = async () => {
    const sql = 'select lease_until::text as lease from tallystick.webhook_endpoints';
    return (await reader.query(sql)).rows[0].lease;
  };
  const taken = await lease();
  expect(taken).not.toBeNull();
  // The lease is renewed after a quarter of the time-out, where the courier sees the change.
  await until('the lease is renewed', async () => (await lease()) !== taken);
  held[0]!.end();
  await until('it is noted', async () => (await statuses()).includes('delivered'));
  await until('the lease is given back', async () => (await lease()) === null);
  expect(await statuses()).toEqual(['pending', 'pending', 'delivered']);
  answer = (response) => response.end();
  await set('enabled');
  await until('the others come', () => receiver.got.length === 3);
});
