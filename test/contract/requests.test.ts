import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import { errorEnvelope } from '../../src/contract/schema.js';
import { listKeys, revokeKey } from '../../src/ledger/index.js';
import { Api, checkProblem, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** What HTTP itself can do to a server, beside what a well-behaved client sends. */

let database: TestDatabase;
let server: TestServer;
let api: Api;

beforeAll(async () => {
  database = await PGLITE.create();
  server = await startServer(database.engine);
  api = new Api(server.url, server.key);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
  await database.drop();
});

const ACCOUNTS = '/v1/customer-credits/accounts';

describe('routes', () => {
  test.each([
    '/nonsense',
    '/v1',
    '/v1/customer-credits',
    `${ACCOUNTS}/`,
    `${ACCOUNTS}/x/nonsense`,
    '//',
    `${ACCOUNTS}//freeze`,
    '/V1/customer-credits/accounts',
    '/%00',
    '/constructor',
    '/__proto__',
  ])('%s is not there', async (path) => {
    expectProblem(await api.send('GET', path), 'not_found');
    expectProblem(await api.send('POST', path, { body: {} }), 'not_found');
  });

  test.each([
    ['DELETE', ACCOUNTS, 'GET, POST'],
    ['PUT', `${ACCOUNTS}/x`, 'GET'],
    ['GET', `${ACCOUNTS}/x/freeze`, 'POST'],
    ['PATCH', '/v1/customer-credits/transactions/x', 'GET'],
    ['POST', '/livez', 'GET'],
  ])('%s %s is not a method of it', async (method, path, allow) => {
    const answer = await api.send(method, path);
    expectProblem(answer, 'method_not_allowed');
    expect(answer.headers.get('allow')?.split(', ').sort().join(', ')).toBe(allow);
  });

  test('an id in a path may be percent-encoded, badly or well', async () => {
    const { id } = await api.open();
    const encoded = id.replace('_', '%5F');
    expect((await api.send('GET', `${ACCOUNTS}/${encoded}`)).body.id).toBe(id);
    for (const bad of ['%', '%zz', '%E0%A4%A', '%00', 'a%2Fb', '..%2f..', '%F0%9F%98%80']) {
      const answer = await api.send('GET', `${ACCOUNTS}/${bad}`);
      expect([400, 404]).toContain(answer.status);
      checkProblem(answer);
    }
  });

  test('a request id that is sane comes back, and another does not', async () => {
    const own = { headers: { 'x-request-id': 'my-request.1' } };
    const answer = await api.send('GET', '/nonsense', own);
    expect(answer.headers.get('x-request-id')).toBe('my-request.1');
    const insane = { headers: { 'x-request-id': 'a b<c>' } };
    const other = await api.send('GET', '/nonsense', insane);
    expect(other.headers.get('x-request-id')).toMatch(/^req_\w+$/);
  });
});

describe('bodies', () => {
  /** Sends exactly these headers and chunks; what `fetch` adds is not added. */
  const raw = (path: string, headers: Record<string, string>, chunks: (string | Buffer)[] = []) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const options = { method: 'POST', headers: { 'x-api-key': server.key, ...headers } };
      const sent = request(`${server.url}${path}`, options, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode!, body }));
      });
      sent.on('error', reject);
      for (const chunk of chunks) sent.write(chunk);
      sent.end();
    });
  const codeOf = ({ body }: { body: string }) => errorEnvelope.parse(JSON.parse(body)).error.code;

  test('a POST without a body needs no content type, as the SDK sends it', async () => {
    const { id } = await api.open();
    const headers = { 'content-length': '0', cookie: '', accept: 'application/json' };
    const answer = await raw(`${ACCOUNTS}/${id}/freeze`, headers);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body).status).toBe('frozen');
  });

  test('nor with an empty object', async () => {
    const { id } = await api.open();
    expect((await api.call('freezeAccount', { id, body: {} })).status).toBe(200);
  });

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/problem+json'])(
    '%s is JSON',
    async (type) => {
      const body = JSON.stringify({ customer_id: uniqueName('cust') });
      const headers = { 'content-type': type, 'content-length': `${body.length}` };
      expect((await raw(ACCOUNTS, headers, [body])).status).toBe(201);
    },
  );

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', ''])(
    '%j is not',
    async (type) => {
      const body = '{"customer_id":"x"}';
      const headers = { 'content-type': type, 'content-length': `${body.length}` };
      expect(codeOf(await raw(ACCOUNTS, headers, [body]))).toBe('unsupported_media_type');
    },
  );

  test('a chunked body is read', async () => {
    const halves = ['{"customer_id":', `"${uniqueName('cust')}"}`];
    const answer = await raw(ACCOUNTS, { 'content-type': 'application/json' }, halves);
    expect(answer.status).toBe(201);
  });

  test('a chunked body is counted, for it announces no length', async () => {
    const chunk = 'x'.repeat(64 * 1024);
    const chunks = Array.from({ length: 16 }, () => chunk);
    const answer = await raw(ACCOUNTS, { 'content-type': 'application/json' }, chunks);
    expect(answer.status).toBe(413);
    expect(codeOf(answer)).toBe('payload_too_large');
  });

  test('a character that is cut in two by chunks comes through', async () => {
    const customer = `${uniqueName('cust')} 😀 é`;
    const bytes = Buffer.from(JSON.stringify({ customer_id: customer }));
    const middle = bytes.indexOf(Buffer.from('😀')) + 2;
    const parts = [bytes.subarray(0, middle), bytes.subarray(middle)];
    const answer = await raw(ACCOUNTS, { 'content-type': 'application/json' }, parts);
    expect(JSON.parse(answer.body).customer_id).toBe(customer);
  });

  test('bytes that are not UTF-8 are refused, and not replaced', async () => {
    const bytes = Buffer.from('{"customer_id":"\xff\xfe"}', 'latin1');
    const headers = { 'content-type': 'application/json', 'content-length': `${bytes.length}` };
    const answer = await raw(ACCOUNTS, headers, [bytes]);
    expect(answer.status).toBe(400);
    expect(codeOf(answer)).toBe('invalid_json');
  });

  test('a client that goes away in the middle of a body does no harm', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => {});
    const head = `POST ${ACCOUNTS} HTTP/1.1\r\nhost: x\r\nx-api-key: ${server.key}\r\n`;
    const sent = `${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{"cus`;
    await new Promise<void>((resolve) => socket.write(sent, () => resolve()));
    const gone = new Promise((resolve) => socket.once('close', resolve));
    socket.resetAndDestroy();
    await gone;
    await api.open();
  });

  test('what is not HTTP is answered in the envelope too', async () => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('this is not HTTP\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    const body = text.slice(text.indexOf('\r\n\r\n') + 4);
    expect(text).toMatch(/^HTTP\/1.1 400 /);
    expect(errorEnvelope.parse(JSON.parse(body)).error.code).toBe('validation_error');
  });
});

describe('keys and stores', () => {
  test('another store’s ids are 404, in every place of every operation', async () => {
    const mine = await api.open({ initial_balance: '5' });
    const own = await api.open({ initial_balance: '5' });
    const movement = expectTransaction(await api.credit(mine.id, '1'));
    const stranger = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
    const theirs = await stranger.open({ initial_balance: '5' });
    const { id } = mine;
    const body = { amount: '1', reference: 'r', idempotency_key: 'k' };
    const calls: [OperationName, Parameters<Api['call']>[1]][] = [
      ['getAccount', { id }],
      ['getAccountBalance', { id }],
      ['getAccountBalance', { id, query: { at: '2026-01-01' } }],
      ['listEntries', { id }],
      ['freezeAccount', { id }],
      ['unfreezeAccount', { id }],
      ['closeAccount', { id }],
      ['creditAccount', { id, body }],
      ['debitAccount', { id, body }],
      ['reverseTransaction', { id, body: { transaction_id: movement.id } }],
    ];
    for (const [name, sent] of calls) {
      expectProblem(await stranger.call(name, sent), 'account_not_found');
    }
    const transaction = { id: movement.id };
    for (const name of ['getTransaction', 'reverseTransactionById'] as const) {
      expectProblem(await stranger.call(name, transaction), 'transaction_not_found');
    }
    const reverse = { id: theirs.id, body: { transaction_id: movement.id } };
    expectProblem(await stranger.call('reverseTransaction', reverse), 'transaction_not_found');
    const across = await stranger.post([
      [theirs.id, -1],
      [id, 1],
    ]);
    expectProblem(across, 'account_not_found', 'entries[1].account_id');
    const query = { starting_after: id };
    expectProblem(await stranger.call('listAccounts', { query }), 'invalid_cursor');
    const [entry] = (await api.entries(id)).data;
    const entryQuery = { starting_after: entry!.id };
    const entries = await stranger.call('listEntries', { id: theirs.id, query: entryQuery });
    expectProblem(entries, 'invalid_cursor');
    // An entry of another account of the same store is no place in this list either.
    expectProblem(
      await api.call('listEntries', { id: own.id, query: entryQuery }),
      'invalid_cursor',
    );
    const listed = await stranger.call('listAccounts', {
      query: { customer_id: mine.customer_id },
    });
    expect(listed.body.data).toEqual([]);
    const reference = { reference: 'test' };
    const found = await stranger.call('listTransactionsByReference', { query: reference });
    expect(found.body.data).toEqual([]);
    // The same key in two stores is two keys.
    expectTransaction(await api.credit(id, '1', 'shared key'));
    const other = await stranger.credit(theirs.id, '2', 'shared key');
    expect(other.headers.get('x-idempotent-replay')).toBeNull();
    expect(await api.balance(id)).toBe('7');
  });

  test('a revoked key is refused within a second', async () => {
    const known = new Set((await listKeys(database.engine.reader)).map(({ id }) => id));
    const key = await server.addKey();
    const added = (await listKeys(database.engine.reader)).find(({ id }) => !known.has(id))!;
    const client = new Api(server.url, key);
    expect((await client.call('listAccounts')).status).toBe(200);
    await revokeKey(database.engine.reader, added.id);
    const revoked = performance.now();
    let last = 0;
    for (;;) {
      const asked = performance.now();
      const answer = await client.call('listAccounts');
      if (answer.status === 401) break;
      last = asked - revoked;
      expect(last).toBeLessThan(1_000);
    }
    expectProblem(await client.call('listAccounts'), 'invalid_api_key');
  });

  test.each(['tally_live_', 'tally_test_', 'x'.repeat(10_000), 'é', '😀'])(
    'the key %j opens nothing',
    async (key) => {
      const headers = { 'x-api-key': Buffer.from(key).toString('latin1') };
      const answer = await api.call('listAccounts', { key: null, headers });
      expectProblem(answer, 'invalid_api_key');
    },
  );

  test('system accounts are not addressable', async () => {
    const { id } = await api.open({ initial_balance: '5' });
    const { formatId } = await import('../../src/core/id.js');
    const issuance = formatId('account', server.store.issuanceId);
    const answer = await api.post([
      [id, -5],
      [issuance, 5],
    ]);
    expectProblem(answer, 'account_not_found', 'entries[1].account_id');
    expectProblem(await api.call('getAccount', { id: issuance }), 'account_not_found');
    expectProblem(await api.call('listEntries', { id: issuance }), 'account_not_found');
    expectProblem(await api.credit(issuance, '1'), 'account_not_found');
  });
});

describe('choices of the contract', () => {
  test('a transaction shows the customer’s lines only', async () => {
    const { id } = await api.open();
    const credit = expectTransaction(await api.credit(id, '5'));
    expect(credit.entries).toHaveLength(1);
    expect(credit.reversal_of).toBeNull();
  });

  test('a replay says so, and a first answer does not', async () => {
    const { id } = await api.open();
    const first = await api.credit(id, '5', 'replayed key');
    const second = await api.credit(id, '5', 'replayed key');
    expect(first.headers.get('x-idempotent-replay')).toBeNull();
    expect(second.headers.get('x-idempotent-replay')).toBe('true');
    expect(second.body).toEqual(first.body);
    const reverse = { id: first.body.id };
    const reversal = await api.call('reverseTransactionById', reverse);
    const again = await api.call('reverseTransaction', {
      id,
      body: { transaction_id: reverse.id },
    });
    expect(reversal.headers.get('x-idempotent-replay')).toBeNull();
    expect(again.headers.get('x-idempotent-replay')).toBe('true');
    expect(again.body).toEqual(reversal.body);
  });

  test('a seed is there at once, under its own reference and key', async () => {
    const { id } = await api.open({ initial_balance: '50' });
    const [entry] = (await api.entries(id)).data;
    expect(entry).toMatchObject({ side: 'credit', amount: '50' });
    const query = { reference: 'initial_balance' };
    const { body } = await api.call('listTransactionsByReference', { query });
    expect(body.data[0]).toMatchObject({ idempotency_key: `initial_balance:${id}` });
    const empty = await api.open({ initial_balance: '0' });
    expect((await api.entries(empty.id)).data).toEqual([]);
    expect(await api.balance(empty.id)).toBe('0');
  });

  test.each(['reversal:cct_x', 'initial_balance:cca_x'])('the key %s is reserved', async (key) => {
    const { id } = await api.open({ initial_balance: '5' });
    expectProblem(await api.credit(id, '1', key), 'validation_error', 'idempotency_key');
    const post = await api.post(
      [
        [id, -1],
        [id, 1],
      ],
      key,
    );
    expectProblem(post, 'validation_error', 'idempotency_key');
  });

  test('a closed account’s name stays taken, and another customer’s is free', async () => {
    const { id, customer_id } = await api.open({ name: 'Points' });
    await api.call('closeAccount', { id });
    const body = { customer_id, name: 'POINTS ' };
    expectProblem(await api.call('createAccount', { body }), 'account_name_taken', 'name');
    expect((await api.open({ name: 'points' })).name).toBe('points');
  });

  test('38 digits are exact', async () => {
    const most = '9'.repeat(38);
    const { id } = await api.open({ initial_balance: most });
    expect(await api.balance(id)).toBe(most);
    expectProblem(await api.credit(id, '1'), 'balance_limit_exceeded');
    expectTransaction(await api.debit(id, `${'9'.repeat(37)}8`));
    expect(await api.balance(id)).toBe('1');
  });

  test('every operation of the table is a route', async () => {
    for (const { method, path } of Object.values(OPERATIONS)) {
      const answer = await api.send(method.toUpperCase(), path.replace(/:\w+/g, 'x'), {
        key: null,
      });
      expectProblem(answer, 'missing_api_key');
    }
  });
});
