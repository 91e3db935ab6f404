import { Creem } from 'creem';
import { constructWebhookEvent, constructWebhookEventEntity } from 'creem/webhooks.js';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseId } from '../../src/core/id.js';
import { ensureKey } from '../../src/ledger/index.js';
import { newEventId } from '../../src/store/ids.js';
import { addToOutbox } from '../../src/store/webhooks/outbox.js';
import { ENDPOINTS_MAX } from '../../src/webhooks/refusals.js';
import { until } from '../harness/until.js';
import {
  type Called,
  call,
  KEY,
  type Received,
  type Running,
  startEmbedded,
  startReceiver,
} from './harness.js';

let server: Running;
let creem: Creem;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let status = 200;

beforeAll(async () => {
  server = await startEmbedded();
  creem = new Creem({ apiKey: KEY, serverURL: server.url });
  receiver = await startReceiver((_, response) => {
    response.statusCode = status;
    response.end();
  });
});
afterAll(async () => {
  await server.close();
  await receiver.close();
});

const api = (method: string, path: string, body?: object) => call(server.url, method, path, body);
let count = 0;

async function account(initial = '1000'): Promise<string> {
  const customer_id = `cust_${++count}`;
  const body = { customer_id, initial_balance: initial };
  return (await api('POST', '/v1/customer-credits/accounts', body)).body.id;
}

function move(side: 'credit' | 'debit', id: string, amount: string): Promise<Called> {
  const body = { amount, reference: 'order 1', idempotency_key: `key ${++count}` };
  return api('POST', `/v1/customer-credits/accounts/${id}/${side}`, body);
}

/** Runs with one endpoint and gives what it was sent, once there are as many events. */
async function received(
  fields: object,
  events: number,
  act: (webhook: Called['body']) => Promise<unknown>,
): Promise<Received[]> {
  const { body } = await api('POST', '/v1/webhooks', { url: receiver.url, ...fields });
  const start = receiver.got.length;
  try {
    await act(body);
    await until(`${events} events`, () => receiver.got.length - start >= events);
    return receiver.got.slice(start);
  } finally {
    await api('DELETE', `/v1/webhooks/${body.id}`);
  }
}

describe('the official SDK', () => {
  test('manages endpoints', async () => {
    const created = await creem.webhooks.create({
      url: receiver.url,
      name: 'orders',
      events: ['credits.granted'],
    });
    expect(created).toMatchObject({ mode: 'test', object: 'webhook', status: 'enabled' });
    expect(created.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const got = await creem.webhooks.get(created.id);
    expect(got).toEqual({ ...created, secret: undefined });
    expect(await creem.webhooks.getSecret(created.id)).toEqual({ secret: created.secret });
    const updated = await creem.webhooks.update(created.id, { name: null, status: 'disabled' });
    expect(updated).toMatchObject({ name: null, status: 'disabled', url: receiver.url });
    expect(updated.events).toEqual(['credits.granted']);
    const deleted = await creem.webhooks.delete(created.id);
    expect(deleted.id).toBe(created.id);
    await expect(creem.webhooks.get(created.id)).rejects.toMatchObject({ statusCode: 404 });
  });

  test('trims names alike, whether it creates or updates', async () => {
    const { body: webhook } = await api('POST', '/v1/webhooks', {
      delivery_mode: 'cli',
      name: '\tmine  ',
    });
    expect(webhook.name).toBe('mine');
    const rename = async (name: string | null) =>
      (await api('PATCH', `/v1/webhooks/${webhook.id}`, { name })).body.name;
    expect(await rename(' \u00a0yours\n')).toBe('yours');
    expect(await rename(null)).toBeNull();
    await api('DELETE', `/v1/webhooks/${webhook.id}`);
  });

  test('pages through endpoints', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await creem.webhooks.create({ url: receiver.url })).id);
    const seen: string[] = [];
    for await (const page of await creem.webhooks.list(1, 2)) {
      seen.push(...page.result.items.map(({ id }) => id));
      expect(page.result.pagination).toMatchObject({ totalRecords: 5, totalPages: 3 });
    }
    expect(seen).toEqual(ids.reverse());
    for (const id of ids) await creem.webhooks.delete(id);
  });

  test('reads the feed of a cli endpoint and acknowledges it', async () => {
    const webhook = await creem.webhooks.create({ deliveryMode: 'cli' });
    expect(webhook.url).toBe('creem-cli://listen');
    const id = await account('7');
    await move('debit', id, '2');
    const { items } = await creem.webhooks.listPendingEvents(webhook.id);
    expect(items.map(({ eventType }) => eventType)).toEqual([
      'credits.granted',
      'credits.consumed',
    ]);
    const [first, second] = items;
    const event = await constructWebhookEventEntity(first!.body, first!.headers, webhook.secret!);
    expect(event).toMatchObject({ eventType: 'credits.granted', id: first!.id });
    expect(Object.keys(first!.headers).sort()).toEqual(['Content-Type', 'creem-signature']);
    const ack = (event: string, statusCode: number) =>
      creem.webhooks.acknowledgeEvent(webhook.id, event, { statusCode });
    expect(await ack(first!.id, 503)).toMatchObject({ id: first!.id, success: false });
    expect(await ack(first!.id, 200), 'the first one wins').toMatchObject({ success: false });
    expect(await ack(second!.id, 204)).toMatchObject({ success: true });
    expect((await creem.webhooks.listPendingEvents(webhook.id)).items).toEqual([]);
    await creem.webhooks.delete(webhook.id);
  });

  test('finds the answer that it acknowledged with the attempt, cut off and storable', async () => {
    const webhook = await creem.webhooks.create({ deliveryMode: 'cli' });
    await account('7');
    await move('debit', await account('7'), '2');
    const { items } = await creem.webhooks.listPendingEvents(webhook.id);
    // The cut goes through a character of two halves, and NUL is none that the database takes.
    const answers = ['not\0found', `${'x'.repeat(999)}😀${'y'.repeat(1000)}`];
    for (const [index, responseBody] of answers.entries()) {
      const ack = { statusCode: 404, responseBody };
      await creem.webhooks.acknowledgeEvent(webhook.id, items[index]!.id, ack);
    }
    await creem.webhooks.acknowledgeEvent(webhook.id, items[2]!.id, { statusCode: 200 });
    const { body } = await api('GET', `/v1/webhooks/${webhook.id}/deliveries`);
    const kept = (body.data as { attempts: object[] }[]).map(({ attempts }) => attempts[0]);
    expect(kept).toMatchObject([
      { response_status: 200 },
      { response_status: 404, response_body: `${'x'.repeat(999)}\uFFFD` },
      { response_status: 404, response_body: 'not\uFFFDfound' },
    ]);
    expect(kept[0]).not.toHaveProperty('response_body');
    await creem.webhooks.delete(webhook.id);
  });

  test('verifies and parses what is delivered', async () => {
    const id = await account();
    let secret = '';
    const got = await received({}, 2, async (webhook) => {
      secret = webhook.secret as string;
      await move('credit', id, '900719925474099312345');
      await move('debit', id, '345');
    });
    const [granted, consumed] = await Promise.all(
      got.map(({ text, headers }) => constructWebhookEventEntity(text, headers, secret)),
    );
    expect(granted).toMatchObject({
      eventType: 'credits.granted',
      object: {
        object: 'customer_credits_grant',
        accountId: id,
        amountMinorUnits: '900719925474099312345',
        balanceAfterMinorUnits: '900719925474099313345',
        reference: 'order 1',
      },
    });
    expect(consumed).toMatchObject({
      eventType: 'credits.consumed',
      object: { object: 'customer_credits_consumption', amountMinorUnits: '345' },
    });
    const wrong = constructWebhookEvent(got[0]!.text, got[0]!.headers, `${secret}x`);
    await expect(wrong).rejects.toThrow('Invalid webhook signature');
  });
});

describe('signatures', () => {
  test.each(['standard', 'both'])('%s: both verifiers accept them', async (signature) => {
    const id = await account();
    let secret = '';
    const [got] = await received({ signature }, 1, async (webhook) => {
      secret = webhook.secret as string;
      await move('debit', id, '1');
    });
    const headers = got!.headers as Record<string, string>;
    expect('creem-signature' in headers).toBe(signature === 'both');
    expect(headers['webhook-id']).toBe(got!.event.id);
    expect(new Webhook(secret).verify(got!.text, headers)).toEqual(got!.event);
    const event = await constructWebhookEvent(got!.text, got!.headers, secret);
    expect(event.type).toBe('credits.consumed');
  });

  test('by default creem-signature alone is sent, in bare lower-case hex', async () => {
    const id = await account();
    const [got] = await received({}, 1, () => move('debit', id, '1'));
    expect(got!.headers['creem-signature']).toMatch(/^[0-9a-f]{64}$/);
    expect(Object.keys(got!.headers).filter((name) => name.startsWith('webhook-'))).toEqual([]);
  });

  test('old and new secret sign until the overlap ends', async () => {
    const id = await account();
    const secrets: string[] = [];
    const got = await received({ signature: 'both' }, 2, async (webhook) => {
      const rotate = (body: object) =>
        api('POST', `/v1/webhooks/${webhook.id}/secret/rotate`, body);
      const first = await rotate({});
      secrets.push(webhook.secret as string, first.body.secret as string);
      expect(Date.parse(first.body.previous_secret_expires_at as string)).toBeGreaterThan(
        Date.now() + 23 * 3_600_000,
      );
      const before = receiver.got.length;
      await move('debit', id, '1');
      await until('the first event', () => receiver.got.length > before);
      const second = await rotate({ overlap_seconds: 0 });
      expect(second.body.previous_secret_expires_at).toBeNull();
      secrets.push(second.body.secret as string);
      await move('debit', id, '1');
    });
    const verifies = (secret: string, { text, headers }: Received) => {
      try {
        new Webhook(secret).verify(text, headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    };
    expect(secrets.map((secret) => verifies(secret, got[0]!))).toEqual([true, true, false]);
    // A lease that is held may sign with the secrets it read for a moment longer.
    expect(secrets.map((secret) => verifies(secret, got[1]!))[0]).toBe(false);
  });
});

describe('events', () => {
  test('a post tells each moved account once; a replay and a refusal tell nothing', async () => {
    const [a, b] = [await account('500'), await account('0')];
    const entries = [
      { account_id: a, side: 'debit', amount: '300' },
      { account_id: b, side: 'credit', amount: '250' },
      { account_id: b, side: 'credit', amount: '50' },
    ];
    const body = { reference: 'transfer', idempotency_key: `post ${++count}`, entries };
    const got = await received({}, 3, async () => {
      const posted = await api('POST', '/v1/customer-credits/transactions', body);
      expect(posted.status).toBe(201);
      await api('POST', '/v1/customer-credits/transactions', body);
      expect((await move('debit', a, '99999')).status).toBe(422);
      await move('debit', a, '1');
    });
    const told = got
      .map(({ event: { eventType, object } }) => [
        eventType,
        object.account_id,
        object.amount_minor_units,
        object.balance_after_minor_units,
      ])
      .sort();
    expect(told).toEqual(
      [
        ['credits.consumed', a, '300', '200'],
        ['credits.consumed', a, '1', '199'],
        ['credits.granted', b, '300', '300'],
      ].sort(),
    );
  });

  test('our own come only to endpoints that name them', async () => {
    const id = await account('10');
    const names = ['credits.reversed', 'account.frozen', 'account.unfrozen', 'account.closed'];
    const plain = await api('POST', '/v1/webhooks', { delivery_mode: 'cli' });
    const got = await received({ events: names }, 4, async () => {
      const { body } = await move('debit', id, '4');
      await api('POST', `/v1/customer-credits/transactions/${body.id}/reverse`);
      for (const act of ['freeze', 'unfreeze', 'close']) {
        await api('POST', `/v1/customer-credits/accounts/${id}/${act}`);
      }
    });
    expect(got.map(({ event }) => event.eventType)).toEqual(names);
    expect(got[0]!.event.object).toMatchObject({
      amount_minor_units: '4',
      balance_after_minor_units: '10',
      side: 'credit',
    });
    expect(got[3]!.event.object).toMatchObject({ status: 'closed', balance_minor_units: '10' });
    const feed = await api('GET', `/v1/webhooks/${plain.body.id}/events/pending`);
    const items = feed.body.items as { event_type: string }[];
    expect(items.map(({ event_type }) => event_type)).toEqual(['credits.consumed']);
    await api('DELETE', `/v1/webhooks/${plain.body.id}`);
  });

  test('a test event looks like one of Creem’s and can be told apart', async () => {
    const [got] = await received({ events: ['refund.created'] }, 1, async ({ id }) => {
      const sent = await api('POST', `/v1/webhooks/${id}/test`);
      expect(sent).toMatchObject({ status: 200, body: { event_type: 'credits.granted' } });
    });
    expect(got!.event.object.reference).toBe('tallystick_test_event');
  });
});

describe('deliveries', () => {
  test('show their attempts, end as failed, and can be sent again', async () => {
    const id = await account();
    status = 500;
    const { body: webhook } = await api('POST', '/v1/webhooks', { url: receiver.url });
    const path = `/v1/webhooks/${webhook.id}`;
    const list = async (query = '') =>
      (await api('GET', `${path}/deliveries${query}`)).body.data as Record<string, unknown>[];
    await move('debit', id, '1');
    await until('it has failed', async () => (await list())[0]?.status === 'failed');
    const [failed] = await list('?status=failed');
    expect(failed).toMatchObject({ event_type: 'credits.consumed', next_attempt_at: null });
    const attempts = failed!.attempts as { response_status: number; latency_ms: number }[];
    expect(attempts.map(({ response_status }) => response_status)).toEqual(Array(5).fill(500));
    expect(attempts.every(({ latency_ms }) => latency_ms >= 0)).toBe(true);
    await until('it is marked', async () => (await api('GET', path)).body.health === 'failing');
    status = 200;
    const resent = await api('POST', `${path}/events/${failed!.id}/resend`);
    expect(resent.body.status).toBe('retrying');
    await until('it is delivered', async () => (await list())[0]?.status === 'delivered');
    await until('it is well', async () => (await api('GET', path)).body.health === 'healthy');
    const before = receiver.got.length;
    const range = { from: '2020-01-01T00:00:00Z', status: 'all' };
    expect((await api('POST', `${path}/resend`, range)).body).toMatchObject({ count: 1 });
    await until('it comes again', () => receiver.got.length > before);
    expect(receiver.got.at(-1)!.event.id).toBe(failed!.id);
    await api('DELETE', path);
  });

  test('stop where the receiver says that it is gone', async () => {
    const id = await account();
    status = 410;
    const { body: webhook } = await api('POST', '/v1/webhooks', { url: receiver.url });
    const path = `/v1/webhooks/${webhook.id}`;
    const start = receiver.got.length;
    await move('debit', id, '1');
    await until('it is disabled', async () => (await api('GET', path)).body.status === 'disabled');
    expect((await api('GET', path)).body.disabled_reason).toContain('410');
    status = 200;
    await move('debit', id, '1');
    const { body } = await api('GET', `${path}/deliveries`);
    expect(body.data).toMatchObject([{ status: 'pending' }, { status: 'failed' }]);
    expect(receiver.got.length - start).toBe(1);
    expect((await api('POST', `${path}/test`)).body.error).toMatchObject({
      code: 'webhook_disabled',
    });
    await api('DELETE', path);
  });
});

describe('refusals', () => {
  const wh = 'wh_0000000000000000000000';
  const evt = 'evt_0000000000000000000000';
  test.each([
    ['POST', '/v1/webhooks', {}, 400, 'validation_error'],
    ['POST', '/v1/webhooks', { url: 'https://10.0.0.1/' }, 400, 'invalid_webhook_url'],
    ['POST', '/v1/webhooks', { url: 'http://8.8.8.8/' }, 400, 'invalid_webhook_url'],
    ['POST', '/v1/webhooks', { url: 'https://8.8.8.8/', events: ['x'] }, 400, 'validation_error'],
    ['POST', '/v1/webhooks', { url: 'https://8.8.8.8/', extra: 1 }, 400, 'validation_error'],
    ['POST', '/v1/webhooks', { delivery_mode: 'pigeon' }, 400, 'validation_error'],
    ['GET', '/v1/webhooks?page_size=101', undefined, 400, 'validation_error'],
    ['GET', '/v1/webhooks?page_number=0', undefined, 400, 'validation_error'],
    ['GET', `/v1/webhooks/${wh}`, undefined, 404, 'webhook_not_found'],
    ['GET', '/v1/webhooks/cca_x', undefined, 404, 'webhook_not_found'],
    ['PATCH', `/v1/webhooks/${wh}`, { name: 'x' }, 404, 'webhook_not_found'],
    ['DELETE', `/v1/webhooks/${wh}`, undefined, 404, 'webhook_not_found'],
    ['GET', `/v1/webhooks/${wh}/secret`, undefined, 404, 'webhook_not_found'],
    ['POST', `/v1/webhooks/${wh}/secret/rotate`, undefined, 404, 'webhook_not_found'],
    ['POST', `/v1/webhooks/${wh}/test`, undefined, 404, 'webhook_not_found'],
    ['GET', `/v1/webhooks/${wh}/events/pending`, undefined, 404, 'webhook_not_found'],
    ['POST', `/v1/webhooks/${wh}/events/${evt}/resend`, undefined, 404, 'webhook_not_found'],
    [
      'POST',
      `/v1/webhooks/${wh}/resend`,
      { from: '2026-01-01T00:00:00Z' },
      404,
      'webhook_not_found',
    ],
    ['GET', `/v1/webhooks/${wh}/deliveries`, undefined, 404, 'webhook_not_found'],
    ['GET', `/v1/webhooks/${wh}/deliveries?starting_after=x`, undefined, 400, 'invalid_cursor'],
    ['PUT', '/v1/webhooks', undefined, 405, 'method_not_allowed'],
  ])('%s %s %o: %s %s', async (method, path, body, status, code) => {
    const answer = await api(method, path, body);
    expect(answer).toMatchObject({ status, body: { error: { code } } });
  });

  test('a cursor that is no delivery of this webhook is refused', async () => {
    const [one, other] = [
      await api('POST', '/v1/webhooks', { delivery_mode: 'cli' }),
      await api('POST', '/v1/webhooks', { delivery_mode: 'cli' }),
    ];
    const { body: sent } = await api('POST', `/v1/webhooks/${other.body.id}/test`);
    const list = (id: string, cursor: string) =>
      api('GET', `/v1/webhooks/${id}/deliveries?starting_after=${cursor}`);
    const unknown = {
      status: 400,
      body: { error: { code: 'invalid_cursor', param: 'starting_after' } },
    };
    expect(await list(other.body.id, sent.id)).toMatchObject({ status: 200, body: { data: [] } });
    expect(await list(one.body.id, sent.id)).toMatchObject(unknown);
    expect(await list(other.body.id, evt)).toMatchObject(unknown);
    for (const { body } of [one, other]) await api('DELETE', `/v1/webhooks/${body.id}`);
  });

  test('feed and acknowledgement are for cli endpoints, resending for http ones', async () => {
    const http = await api('POST', '/v1/webhooks', { url: receiver.url });
    const cli = await api('POST', '/v1/webhooks', { delivery_mode: 'cli' });
    const mismatch = { status: 400, body: { error: { code: 'webhook_mode_mismatch' } } };
    const path = `/v1/webhooks/${http.body.id}`;
    expect(await api('GET', `${path}/events/pending`)).toMatchObject(mismatch);
    const ack = (id: string) =>
      api('POST', `/v1/webhooks/${id}/events/${evt}/ack`, { status_code: 200 });
    expect(await ack(http.body.id)).toMatchObject(mismatch);
    expect(await ack(cli.body.id)).toMatchObject({ body: { error: { code: 'event_not_found' } } });
    const resend = await api('POST', `/v1/webhooks/${cli.body.id}/resend`, {
      from: '2026-01-01T00:00:00Z',
    });
    expect(resend).toMatchObject(mismatch);
    for (const { body } of [http, cli]) await api('DELETE', `/v1/webhooks/${body.id}`);
  });

  test('a store has only so many endpoints, and no other store sees them', async () => {
    const ids: string[] = [];
    for (let i = 0; i < ENDPOINTS_MAX; i++) {
      ids.push((await api('POST', '/v1/webhooks', { delivery_mode: 'cli' })).body.id);
    }
    const answer = await api('POST', '/v1/webhooks', { delivery_mode: 'cli' });
    expect(answer).toMatchObject({ body: { error: { code: 'webhook_limit_reached' } } });
    const other = 'tally_live_webhook_tests_0001';
    const { reader } = server.ledger.engine;
    await ensureKey(reader, other, { name: 'other', scopes: ['webhooks:read', 'webhooks:write'] });
    const foreign = await call(server.url, 'GET', `/v1/webhooks/${ids[0]}`, undefined, other);
    expect(foreign.status).toBe(404);
    const own = await call(server.url, 'POST', '/v1/webhooks', { delivery_mode: 'cli' }, other);
    expect(own.body.mode, 'the SDK knows no mode "live"').toBe('prod');
    for (const id of ids) await api('DELETE', `/v1/webhooks/${id}`);
  });

  test('each operation needs its scope', async () => {
    const key = 'tally_test_webhook_scopes_0001';
    const { reader } = server.ledger.engine;
    await ensureKey(reader, key, { name: 'reads', scopes: ['webhooks:read'] });
    const as = (method: string, path: string, body?: object) =>
      call(server.url, method, path, body, key);
    expect((await as('GET', '/v1/webhooks')).status).toBe(200);
    const refused = await as('POST', '/v1/webhooks', { delivery_mode: 'cli' });
    expect(refused).toMatchObject({ status: 403, body: { error: { code: 'insufficient_scope' } } });
    expect((await as('GET', '/v1/customer-credits/accounts')).status).toBe(403);
  });
});

describe('metrics', () => {
  async function metric(line: string): Promise<number> {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const found = new RegExp(`^tallystick_webhook_${line} (\\S+)$`, 'm').exec(text);
    return Number(found?.[1]);
  }
  const attempts = (outcome: string) => metric(`attempts_total\\{outcome="${outcome}"\\}`);

  test('count attempts by outcome', async () => {
    const [succeeded, failed] = [await attempts('success'), await attempts('failure')];
    await received({}, 1, () => account('1'));
    await until('the success', async () => (await attempts('success')) === succeeded + 1);
    status = 500;
    await received({}, 1, () => account('1'));
    status = 200;
    await until('the failure', async () => (await attempts('failure')) > failed);
  });

  test('show the age of the oldest event that waits for its first attempt', async () => {
    expect(await metric('oldest_pending_seconds')).toBe(0);
    const { body } = await api('POST', '/v1/webhooks', { url: receiver.url });
    const anHour = 3_600_000;
    const { reader } = server.ledger.engine;
    const leased = `update tallystick.webhook_endpoints
      set lease_owner = store_id, lease_until = clock_timestamp() + interval '1 minute'`;
    await reader.query(leased);
    await account('1');
    expect(await metric('oldest_pending_seconds')).toBeLessThan(60);
    const eventId = newEventId(Date.now() - anHour);
    const { store } = server;
    const endpointId = parseId('webhook', body.id)!;
    const event = { endpointId, eventId, type: 'credits.granted' as const, seq: 1, body: '{}' };
    await addToOutbox(reader, store.id, { ...event, accountId: eventId });
    expect(await metric('oldest_pending_seconds')).toBeGreaterThanOrEqual(3600);
    await api('DELETE', `/v1/webhooks/${body.id}`);
    expect(await metric('oldest_pending_seconds')).toBe(0);
  });
});
