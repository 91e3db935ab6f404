import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/**
 * The eight published recipes as they are written, with only the host, the key and the ids
 * replaced: the bodies below are the text of their curl commands.
 */

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  const send = async (method: string, path: string, body?: string) => {
    const response = await fetch(`${server.url}/v1/customer-credits${path}`, {
      method,
      headers: {
        'x-api-key': server.key,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: each recipe knows what it gets.
    const answer: any = await response.json();
    expect(response.status, JSON.stringify(answer)).toBe(method === 'POST' ? 201 : 200);
    return answer;
  };
  const post = (path: string, body: string) => send('POST', path, body);
  const balance = async (id: string) => (await send('GET', `/accounts/${id}/balance`)).balance;
  /** The account of the recipes that take one as given. */
  const given = async (customer: string, name: string): Promise<string> => {
    const body = JSON.stringify({ customer_id: customer, name });
    return (await post('/accounts', body)).id;
  };

  test('loyalty points', async () => {
    const { id } = await post(
      '/accounts',
      '{ "customer_id": "cust_abc123", "name": "loyalty_points", "unit_label": "points", "initial_balance": "50" }',
    );
    await post(
      `/accounts/${id}/credit`,
      '{ "amount": "75", "reference": "order_789", "idempotency_key": "loyalty_earn_order_789" }',
    );
    const redeemed = await post(
      `/accounts/${id}/debit`,
      '{ "amount": "50", "reference": "checkout_456", "idempotency_key": "loyalty_redeem_checkout_456" }',
    );
    expect(await balance(id)).toBe('75');
    await post(`/accounts/${id}/reverse`, `{ "transaction_id": "${redeemed.id}" }`);
    expect(await balance(id)).toBe('125');
  });

  test('prepaid balance', async () => {
    const { id } = await post(
      '/accounts',
      '{ "customer_id": "cust_abc123", "name": "prepaid_balance", "unit_label": "credits" }',
    );
    await post(
      `/accounts/${id}/credit`,
      '{ "amount": "1000", "reference": "topup_order_123", "idempotency_key": "topup_order_123" }',
    );
    await post(
      `/accounts/${id}/debit`,
      '{ "amount": "25", "reference": "usage_evt_456", "idempotency_key": "usage_evt_456" }',
    );
    expect(await balance(id)).toBe('975');
  });

  test('AI product credits', async () => {
    const { id } = await post(
      '/accounts',
      '{ "customer_id": "cust_abc123", "name": "ai_credits", "unit_label": "credits" }',
    );
    await post(
      `/accounts/${id}/credit`,
      '{ "amount": "5000", "reference": "order_credit_pack_500", "idempotency_key": "topup_order_credit_pack_500" }',
    );
    await post(
      `/accounts/${id}/debit`,
      '{ "amount": "10", "reference": "ai_call_gpt4_req_abc123", "idempotency_key": "ai_debit_req_abc123" }',
    );
    expect(await balance(id)).toBe('4990');
  });

  test('referral credits', async () => {
    const referrer = await given('cust_referrer', 'referral');
    const referee = await given('cust_newuser', 'referral');
    await post(
      `/accounts/${referrer}/credit`,
      '{ "amount": "500", "reference": "referral_cust_newuser", "idempotency_key": "referral_reward_cust_newuser" }',
    );
    await post(
      `/accounts/${referee}/credit`,
      '{ "amount": "200", "reference": "referred_welcome", "idempotency_key": "referred_welcome_cust_newuser" }',
    );
    expect([await balance(referrer), await balance(referee)]).toEqual(['500', '200']);
  });

  test('API usage metering', async () => {
    const id = await given('cust_abc123', 'api');
    await post(
      `/accounts/${id}/credit`,
      '{ "amount": "10000", "reference": "subscription_sub_123_period_2026-04", "idempotency_key": "api_alloc_sub_123_2026-04" }',
    );
    await post(
      `/accounts/${id}/debit`,
      '{ "amount": "1", "reference": "api_call_req_abc123", "idempotency_key": "api_debit_req_abc123" }',
    );
    expect(await balance(id)).toBe('9999');
  });

  test.each([
    [
      'promo credits',
      '{ "amount": "100", "reference": "campaign_summer2026", "idempotency_key": "promo_summer2026_cust_abc123" }',
    ],
    [
      'goodwill credits',
      '{ "amount": "100", "reference": "support_ticket_TK-4567", "idempotency_key": "goodwill_TK-4567" }',
    ],
  ])('%s', async (name, body) => {
    const id = await given('cust_abc123', name);
    const credit = await post(`/accounts/${id}/credit`, body);
    // A campaign or a ticket that is run twice gives its credits once.
    expect(await post(`/accounts/${id}/credit`, body)).toEqual(credit);
    expect(await balance(id)).toBe('100');
  });

  test('reconciliation', async () => {
    const id = await given('cust_abc123', 'reconciliation');
    await post(
      `/accounts/${id}/credit`,
      '{ "amount": "75", "reference": "order_790", "idempotency_key": "earn_order_790" }',
    );
    const { data, has_more } = await send('GET', `/accounts/${id}/entries?limit=100`);
    expect(data).toMatchObject([{ account_id: id, side: 'credit', amount: '75' }]);
    expect(has_more).toBe(false);
    const listed = await send('GET', '/transactions?reference=order_790');
    expect(listed.data.map((transaction: { id: string }) => transaction.id)).toEqual([
      data[0].transaction_id,
    ]);
  });
});
