import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperationName } from '../../src/contract/operations.js';
import type { ErrorCode } from '../../src/core/errors.js';
import { Api, checkProblem, expectProblem, expectStatus, uniqueName } from '../harness/api.js';
import { BAD_AMOUNTS, BAD_TEXTS } from '../harness/bad-values.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { digestRows, expectSound } from '../harness/verify.js';

/** Known bad values in every field of what is our own: holds, grants, bulk, clock, webhooks. */

const named = (values: readonly unknown[]) =>
  values.map((value): [string, unknown] => [
    value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 40),
    value,
  ]);

const BAD_SECONDS = [0, -1, 1.5, 86_401, 1e300, -0.5, '300', '', true, null, [], {}];
const BAD_INSTANTS = [
  '',
  ' ',
  'soon',
  'now',
  '2026-02-30',
  '2026-13-01',
  '2026-4-1',
  '2026-01-01T00:00:00',
  '2026-01-01T25:00:00Z',
  '2026-01-01 00:00:00Z',
  '0000-01-01',
  '10000-01-01',
  '+010000-01-01T00:00:00Z',
  '9999-12-31T23:59:59-23:59',
  '1767225600',
  '2026-01-01T00:00:00Z\0',
  'infinity',
  1_767_225_600_000,
  true,
  null,
  [],
  {},
];
/** Dates are instants of queries, and of no body. */
const BAD_EXACT_INSTANTS = [...BAD_INSTANTS, '2031-04-30', '2031-04-30T', '9999-12-31'];
const BAD_PRIORITIES = [-1, 101, 1.5, '50', '', true, null, [], {}];
const BAD_CATEGORIES = ['', 'free', 'Paid', 'paid ', '__proto__', 1, null, ['paid']];
const BAD_METADATA: [string, string, string][] = [
  ['51 pairs', JSON.stringify(pairs(51)), 'metadata'],
  ['a key of 41', JSON.stringify({ ['k'.repeat(41)]: 'v' }), `metadata.${'k'.repeat(41)}`],
  ['an empty key', '{"":"v"}', 'metadata.'],
  ['a value of 501', JSON.stringify({ k: 'v'.repeat(501) }), 'metadata.k'],
  ['a key with NUL', '{"a\\u0000":"v"}', 'metadata.a\0'],
  ['a value with NUL', '{"k":"a\\u0000"}', 'metadata.k'],
  ['half a character as a key', '{"\\ud800":"v"}', 'metadata.\ud800'],
  ['half a character as a value', '{"k":"\\udc00"}', 'metadata.k'],
  ['half a character in a value', '{"k":"a\\ud83dz"}', 'metadata.k'],
  ['a number', '{"k":1}', 'metadata.k'],
  ['true', '{"k":true}', 'metadata.k'],
  ['null as a value', '{"k":null}', 'metadata.k'],
  ['a list as a value', '{"k":["v"]}', 'metadata.k'],
  ['an object as a value', '{"k":{"a":"v"}}', 'metadata.k'],
  ['__proto__', '{"__proto__":"v"}', 'metadata.__proto__'],
  ['__proto__ in disguise', '{"\\u005f_proto__":1}', 'metadata.__proto__'],
  ['null', 'null', 'metadata'],
  ['a list', '["v"]', 'metadata'],
  ['text', '"v"', 'metadata'],
  ['1', '1', 'metadata'],
];

const BAD_URLS = [
  1,
  null,
  [],
  {},
  'https://x/'.padEnd(2_049, 'x'),
  'https://93.184.215.14/\0',
  '\0https://93.184.215.14/',
  'https://93.184.215.14/?\ud800',
  '\ufeffhttps://93.184.215.14/',
];

function pairs(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']));
}

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let id: string;
  let hold: string;
  let grant: string;
  let webhook: string;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    ({ id } = await api.open({ initial_balance: '1000' }));
    hold = expectStatus(await api.call('createHold', { id, body: movement() }), 201).id;
    const body = { ...movement(), priority: 1 };
    expectStatus(await api.call('creditAccount', { id, body }), 201);
    grant = expectStatus(await api.call('listGrants', { id }), 200).data[0].id;
    const cli = { delivery_mode: 'cli' };
    webhook = expectStatus(await api.call('createWebhook', { body: cli }), 200).id;
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    expect((await api.send('GET', '/livez')).status).toBe(200);
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  const movement = (fields: object = {}) => ({
    amount: '1',
    reference: 'r',
    idempotency_key: uniqueName('key'),
    ...fields,
  });
  const capture = (fields: object = {}) => ({ idempotency_key: uniqueName('key'), ...fields });
  /** Runs requests that must all be refused, and shows that no row of any table changed. */
  const refuses = async (act: () => Promise<void>) => {
    const before = await digestRows(database.engine.reader);
    await act();
    expect(await digestRows(database.engine.reader)).toEqual(before);
  };
  const refused = async (
    name: OperationName,
    body: unknown,
    param: string,
    code: ErrorCode = 'validation_error',
  ) => {
    const ids: Partial<Record<OperationName, string>> = {
      captureHold: hold,
      extendHold: hold,
      updateWebhook: webhook,
      rotateWebhookSecret: webhook,
      sendWebhookTestEvent: webhook,
      resendWebhookEvents: webhook,
    };
    expectProblem(await api.call(name, { id: ids[name] ?? id, body }), code, param);
  };

  /** An operation is refused by itself; where it is one of an atomic request, with all of it. */
  const refusedInBatch = async (
    operation: unknown,
    param: string | null,
    code: ErrorCode = 'validation_error',
  ) => {
    // Text stands for an operation that JSON can write and an object cannot.
    const text = typeof operation === 'string' ? operation : JSON.stringify(operation);
    const answer = await api.call('batch', { body: `{"operations":[${text}]}` });
    const { results } = expectStatus(answer, 200);
    expect(results).toMatchObject([{ status: 400, error: { code, param } }]);
    expect(results[0].error.message).toMatch(/\.$/);
    const place = param === null ? 'operations[0]' : `operations[0].${param}`;
    await refused('batch', `{"atomic":true,"operations":[${text}]}`, place, code);
  };

  describe('holds', () => {
    test.each(named(BAD_AMOUNTS))('%s is no amount', async (_, amount) => {
      await refuses(async () => {
        await refused('createHold', movement({ amount }), 'amount', 'invalid_amount');
        await refused('captureHold', capture({ amount }), 'amount', 'invalid_amount');
        for (const [op, where, fields] of [
          ['credit', 'account_id', movement({ amount })],
          ['debit', 'account_id', movement({ amount })],
          ['hold', 'account_id', movement({ amount })],
          ['capture', 'hold_id', capture({ amount })],
        ] as const) {
          const operation = { op, [where]: where === 'hold_id' ? hold : id, ...fields };
          await refusedInBatch(operation, 'amount', 'invalid_amount');
        }
      });
    });

    test.each(named(BAD_TEXTS))('%s is no reference and no key', async (_, text) => {
      await refuses(async () => {
        for (const field of ['reference', 'idempotency_key']) {
          await refused('createHold', movement({ [field]: text }), field);
          const operation = { op: 'hold', account_id: id, ...movement({ [field]: text }) };
          await refusedInBatch(operation, field);
        }
        await refused('captureHold', { idempotency_key: text }, 'idempotency_key');
      });
    });

    test.each(named(BAD_SECONDS))('%s is no expires_in', async (_, seconds) => {
      await refuses(async () => {
        await refused('createHold', movement({ expires_in: seconds }), 'expires_in');
        await refused('extendHold', { expires_in: seconds }, 'expires_in');
      });
    });

    test.each(named(['', 'Refuse', 'allow', 1, true, null, ['cap'], {}]))(
      '%s is no overage',
      (_, overage) => refuses(() => refused('captureHold', capture({ overage }), 'overage')),
    );

    test.each(named(['', 'true', 0, 1, null, [], {}]))('%s is no final', (_, final) =>
      refuses(() => refused('captureHold', capture({ final }), 'final')),
    );

    test('a missing field is named', async () => {
      await refuses(async () => {
        for (const field of ['amount', 'reference', 'idempotency_key']) {
          await refused('createHold', movement({ [field]: undefined }), field);
        }
        await refused('captureHold', {}, 'idempotency_key');
        await refused('extendHold', {}, 'expires_in');
        await refused('createHold', movement({ metadata: {} }), 'metadata');
        await refused('extendHold', { expires_in: 1, final: true }, 'final');
      });
    });
  });

  describe('grants', () => {
    const grantFields = async (field: string, value: unknown) => {
      await refuses(async () => {
        await refused('creditAccount', movement({ [field]: value }), field);
        const customer_id = uniqueName('cust');
        const opening = { customer_id, initial_balance: '1', [field]: value };
        await refused('createAccount', opening, field);
        const operation = { op: 'credit', account_id: id, ...movement({ [field]: value }) };
        await refusedInBatch(operation, field);
      });
    };

    test.each(named(BAD_EXACT_INSTANTS))(
      '%s is no expires_at or effective_at',
      async (_, instant) => {
        await grantFields('expires_at', instant);
        await grantFields('effective_at', instant);
      },
    );

    test.each(named(BAD_PRIORITIES))('%s is no priority', (_, priority) =>
      grantFields('priority', priority),
    );

    test.each(named(BAD_CATEGORIES))('%s is no category', (_, category) =>
      grantFields('category', category),
    );

    test('a debit has no terms, and neither has a post', async () => {
      await refuses(async () => {
        for (const field of ['expires_at', 'effective_at', 'priority', 'category']) {
          await refused('debitAccount', movement({ [field]: 1 }), field);
          const operation = { op: 'debit', account_id: id, ...movement({ [field]: 1 }) };
          await refusedInBatch(operation, field);
        }
      });
    });

    test('a beginning that is over is refused', async () => {
      await refuses(async () => {
        for (const effective_at of ['0001-01-01T00:00:00Z', '2020-01-01T00:00:00Z']) {
          await refused('creditAccount', movement({ effective_at }), 'effective_at');
          const opening = { customer_id: uniqueName('cust'), initial_balance: '1', effective_at };
          await refused('createAccount', opening, 'effective_at');
        }
      });
    });

    test('an expiry that is over is refused', async () => {
      await refuses(async () => {
        for (const expires_at of [
          '0001-01-01T00:00Z',
          '1969-12-31T23:59:59Z',
          '2020-01-01T00:00:00Z',
        ]) {
          await refused('creditAccount', movement({ expires_at }), 'expires_at');
        }
      });
    });
  });

  describe('metadata', () => {
    test.each(BAD_METADATA)('%s is refused', async (_, text, param) => {
      const withMetadata = (body: object) =>
        JSON.stringify({ ...body, metadata: 0 }).replace('"metadata":0', `"metadata":${text}`);
      const post = {
        reference: 'r',
        idempotency_key: uniqueName('key'),
        entries: [
          { account_id: id, side: 'debit', amount: '1' },
          { account_id: id, side: 'credit', amount: '1' },
        ],
      };
      await refuses(async () => {
        await refused('createAccount', withMetadata({ customer_id: uniqueName('cust') }), param);
        await refused('creditAccount', withMetadata(movement()), param);
        await refused('debitAccount', withMetadata(movement()), param);
        await refused('postTransaction', withMetadata(post), param);
        await refused('captureHold', withMetadata(capture()), param);
        for (const operation of [
          { op: 'credit', account_id: id, ...movement() },
          { op: 'debit', account_id: id, ...movement() },
          { op: 'post', ...post },
          { op: 'capture', hold_id: hold, ...capture() },
        ]) {
          await refusedInBatch(withMetadata(operation), param);
        }
      });
    });

    test('at its limits comes back unchanged, whatever its names', async () => {
      const full = { ...pairs(49), ['k'.repeat(40)]: 'v'.repeat(500) };
      const odd = '{"proto":"a","constructor":"b","toString":"","é😀":"\\u2028"}';
      for (const text of [JSON.stringify(full), odd, '{}']) {
        const body = JSON.stringify(movement({ metadata: 0 })).replace(
          '"metadata":0',
          `"metadata":${text}`,
        );
        const made = expectStatus(await api.call('creditAccount', { id, body }), 201);
        const found = await api.call('getTransaction', { id: made.id });
        expect(Object.entries(found.body.metadata).sort()).toEqual(
          Object.entries(JSON.parse(text)).sort(),
        );
      }
    });
  });

  describe('bulk', () => {
    test.each(named([[], {}, 'x', '', 1, true, null, undefined]))(
      '%s is no list of operations',
      (_, operations) => refuses(() => refused('batch', { operations }, 'operations')),
    );

    test.each(named(['true', 0, 1, null, [], {}]))('%s is no atomic', (_, atomic) =>
      refuses(async () => {
        const operations = [{ op: 'debit', account_id: id, ...movement() }];
        await refused('batch', { atomic, operations }, 'atomic');
      }),
    );

    test('1001 operations are too many, good ones and bad', async () => {
      await refuses(async () => {
        const operation = { op: 'debit', account_id: id, ...movement() };
        const short = { op: 'release', hold_id: hold };
        for (const item of [operation, short]) {
          const operations = Array.from({ length: 1_001 }, () => item);
          await refused('batch', { operations }, 'operations');
        }
      });
    });

    test.each(named([null, 1, '"x"', [], true]))('%s is no operation', (_, operation) =>
      refuses(() => refusedInBatch(operation, null)),
    );

    test.each(named(['', 'Credit', 'extend', 'Void', '__proto__', 'toString', 1, null, undefined]))(
      '%s is no op',
      (_, op) =>
        refuses(() => {
          const operation = { op, account_id: id, ...movement() };
          return refusedInBatch(operation, 'op');
        }),
    );

    test('a missing or strange field is named, and the good ones before it are not done', async () => {
      const good = () => ({ op: 'debit', account_id: id, ...movement() });
      const wrong: [object, string][] = [
        [{ op: 'credit', ...movement() }, 'account_id'],
        [{ op: 'debit', ...movement() }, 'account_id'],
        [{ op: 'hold', ...movement() }, 'account_id'],
        [{ op: 'capture', ...capture() }, 'hold_id'],
        [{ op: 'release' }, 'hold_id'],
        [{ op: 'void' }, 'grant_id'],
        [{ op: 'void', grant_id: 1 }, 'grant_id'],
        [{ op: 'void', grant_id: grant, account_id: id }, 'account_id'],
        [{ op: 'reverse', account_id: id }, 'transaction_id'],
        [{ op: 'post', reference: 'r', idempotency_key: 'k' }, 'entries'],
        [{ op: 'release', hold_id: hold, nope: 1 }, 'nope'],
        [{ op: 'debit', account_id: 1, ...movement() }, 'account_id'],
        [{ op: 'debit', account_id: 'x'.repeat(65), ...movement() }, 'account_id'],
        [{ op: 'hold', account_id: id, ...movement({ expires_in: 0 }) }, 'expires_in'],
        [{ op: 'capture', hold_id: hold, ...capture({ overage: 'x' }) }, 'overage'],
        [{ op: 'capture', hold_id: hold, ...capture({ final: 'x' }) }, 'final'],
      ];
      await refuses(async () => {
        for (const [operation, field] of wrong) {
          const operations = [good(), operation, good()];
          await refused('batch', { atomic: true, operations }, `operations[1].${field}`);
          await refusedInBatch(operation, field);
        }
      });
    });

    test('atomic: an id of nothing stops all of it', async () => {
      const good = () => ({ op: 'debit', account_id: id, ...movement() });
      const wrong: [object, ErrorCode][] = [
        [{ op: 'debit', account_id: hold, ...movement() }, 'account_not_found'],
        [{ op: 'hold', account_id: '', ...movement() }, 'account_not_found'],
        [{ op: 'capture', hold_id: id, ...capture() }, 'hold_not_found'],
        [{ op: 'release', hold_id: '\0' }, 'hold_not_found'],
        [{ op: 'void', grant_id: hold }, 'grant_not_found'],
        [{ op: 'reverse', transaction_id: id }, 'transaction_not_found'],
      ];
      await refuses(async () => {
        for (const [operation, code] of wrong) {
          const body = { atomic: true, operations: [good(), operation, good()] };
          const answer = expectProblem(await api.call('batch', { body }), code);
          expect(answer.error.param).toMatch(/^operations\[1\]/);
        }
      });
    });
  });

  describe('the clock', () => {
    const OUTSIDE = [
      '0001-01-01T00:00:00Z',
      '1969-12-31T23:59:59.999Z',
      '1970-01-01T00:00:00+00:01',
      '9999-01-01T00:00:00Z',
      '9999-12-31T23:59:59.999Z',
    ];
    test.each(named([...BAD_EXACT_INSTANTS, ...OUTSIDE]))('%s is no now', (_, now) =>
      refuses(() => refused('moveClock', { now }, 'now')),
    );

    test.each(named([0, -1, 1.5, 316_224_001, 1e300, '60', '', true, null, [], {}]))(
      '%s is no advance',
      (_, advance) => refuses(() => refused('moveClock', { advance }, 'advance')),
    );

    test('is set or advanced, never both, and by nothing else', async () => {
      await refuses(async () => {
        await refused('moveClock', { now: '2030-01-01T00:00:00Z', advance: 1 }, 'advance');
        await refused('moveClock', { instant: '2030-01-01' }, 'instant');
        await refused('moveClock', '{"__proto__":{"now":"2030-01-01"}}', '__proto__');
        for (const body of ['[]', '"now"', '1', 'null']) {
          checkProblem(await api.call('moveClock', { body }));
        }
      });
    });

    test('stands at its first and last instants, where all works, and goes no further', async () => {
      const other = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
      expectStatus(await other.call('createWebhook', { body: { delivery_mode: 'cli' } }), 200);
      for (const now of ['1970-01-01T00:00:00.000Z', '9998-12-31T23:59:59.999Z']) {
        expectStatus(await other.call('moveClock', { body: { now } }), 200);
        const account = await other.open({ initial_balance: '5' });
        const terms = { expires_at: '9999-12-31T23:59:59.999Z', effective_at: now };
        const credit = { id: account.id, body: movement(terms) };
        expect(expectStatus(await other.call('creditAccount', credit), 201).created_at).toBe(now);
        const kept = { id: account.id, body: movement({ expires_in: 86_400 }) };
        const { id: made } = expectStatus(await other.call('createHold', kept), 201);
        expectStatus(await other.call('extendHold', { id: made, body: { expires_in: 9 } }), 200);
        expectStatus(await other.call('getAccountBalance', { id: account.id }), 200);
      }
      const answer = await other.call('moveClock', { body: { advance: 1 } });
      expectProblem(answer, 'validation_error', 'advance');
      expect((await other.call('getClock')).body.now).toBe('9998-12-31T23:59:59.999Z');
    });
  });

  describe('queries', () => {
    const bad: [OperationName, string, readonly string[]][] = [
      ['listEntries', 'side', ['', 'Debit', 'both', '1', '\0']],
      ['listEntries', 'reference', ['', '\0', 'x'.repeat(256), '\ufeffx']],
      ['listEntries', 'expand', ['', 'account', 'transaction,entries', 'Transaction']],
      ['listAccounts', 'status', ['', 'Active', 'open', 'deleted', '\0']],
      ['listAccounts', 'name', ['', ' ', '\0', 'x'.repeat(101)]],
      ['listAccounts', 'customer_id', ['', ' ', '\t', '\ufeffx', '\0', 'x'.repeat(256)]],
      ['listHolds', 'status', ['', 'Open', 'active', 'closed']],
      ['listGrants', 'status', ['', 'Active', 'open', 'used']],
      ['listWebhooks', 'page_number', ['', '0', '-1', '1001', '1.5', 'x']],
      ['listWebhooks', 'page_size', ['', '0', '-1', '101', '1.5', 'x']],
      ['listWebhookDeliveries', 'status', ['', 'settled', 'Failed']],
    ];
    for (const name of ['listHolds', 'listGrants', 'listWebhookDeliveries'] as const) {
      bad.push([name, 'limit', ['', '0', '101', '-1', '1.5', '1e1', ' 1', '0x1']]);
    }
    const idOf = (name: OperationName) => (/Webhook/.test(name) ? webhook : id);

    test.each(bad)('%s refuses strange values of %s', async (name, param, values) => {
      for (const value of values) {
        const answer = await api.call(name, { id: idOf(name), query: { [param]: value } });
        expectProblem(answer, 'validation_error', param);
      }
    });

    test.each(['from', 'to'])('a %s that is no instant is refused', async (param) => {
      for (const instant of BAD_INSTANTS.filter((value) => typeof value === 'string')) {
        const answer = await api.call('listEntries', { id, query: { [param]: instant } });
        expectProblem(answer, 'validation_error', param);
      }
    });

    test('instants that nothing happened at find nothing, and fail at nothing', async () => {
      for (const from of ['0001-01-01', '1969-12-31', '9999-12-31T23:59:59.999Z']) {
        for (const to of ['0001-01-01', '9999-12-31T23:59:59.999Z']) {
          expectStatus(await api.call('listEntries', { id, query: { from, to } }), 200);
        }
      }
    });

    test.each(['listEntries', 'listHolds', 'listGrants', 'listWebhookDeliveries'] as const)(
      '%s refuses cursors of nothing, and filters that it lacks',
      async (name) => {
        for (const cursor of ['', 'x', id, '😀', 'cce_', '\0', '\ud800']) {
          const query = { starting_after: cursor };
          const answer = await api.call(name, { id: idOf(name), query });
          expectProblem(answer, 'invalid_cursor', 'starting_after');
        }
        const long = { starting_after: 'x'.repeat(65) };
        const tooLong = await api.call(name, { id: idOf(name), query: long });
        expectProblem(tooLong, 'validation_error', 'starting_after');
        const nope = await api.call(name, { id: idOf(name), query: { nope: '1' } });
        expectProblem(nope, 'validation_error', 'nope');
      },
    );

    test('twice the same filter is refused', async () => {
      const path = `/v1/customer-credits/accounts/${id}/entries?side=debit&side=credit`;
      expectProblem(await api.send('GET', path), 'validation_error', 'side');
    });

    test('a request for CSV is refused in JSON, before anything is sent', async () => {
      const headers = { accept: 'text/csv' };
      const entries = '/v1/customer-credits/accounts';
      const refusals: [string, ErrorCode][] = [
        [`${entries}/${hold}/entries`, 'account_not_found'],
        [`${entries}/cca_0000000000000000000000/entries`, 'account_not_found'],
        [`${entries}/${id}/entries?side=both`, 'validation_error'],
        [`${entries}/${id}/entries?from=soon`, 'validation_error'],
        [`${entries}/${id}/entries?starting_after=x`, 'invalid_cursor'],
      ];
      for (const [path, code] of refusals) {
        expectProblem(await api.send('GET', path, { headers }), code);
      }
      for (const accept of ['', '*/*', 'text/*', 'text/csvx', 'application/json', '\t;;,q=x']) {
        const path = `${entries}/${id}/entries`;
        const answer = await api.send('GET', path, { headers: { accept } });
        expect(answer.headers.get('content-type')).toBe('application/json');
      }
    });
  });

  test('ids of the wrong kind are ids of nothing', async () => {
    const strange = ['x', '😀', 'cch_', 'ccg_', 'wh_', `${hold}0`, hold.toUpperCase(), '\0'];
    const rows: [OperationName, ErrorCode, string[], object?][] = [
      ['createHold', 'account_not_found', [hold, grant, webhook], movement()],
      ['listHolds', 'account_not_found', [hold, grant, webhook]],
      ['listGrants', 'account_not_found', [hold, grant, webhook]],
      ['getHold', 'hold_not_found', [id, grant, webhook]],
      ['captureHold', 'hold_not_found', [id, grant, webhook], capture()],
      ['releaseHold', 'hold_not_found', [id, grant, webhook]],
      ['extendHold', 'hold_not_found', [id, grant, webhook], { expires_in: 5 }],
      ['voidGrant', 'grant_not_found', [id, hold, webhook]],
      ['getWebhook', 'webhook_not_found', [id, hold, grant]],
      ['updateWebhook', 'webhook_not_found', [id, hold, grant], { name: 'x' }],
      ['deleteWebhook', 'webhook_not_found', [id, hold, grant]],
      ['getWebhookSecret', 'webhook_not_found', [id, hold, grant]],
      ['rotateWebhookSecret', 'webhook_not_found', [id, hold, grant], {}],
      ['sendWebhookTestEvent', 'webhook_not_found', [id, hold, grant], {}],
      ['listPendingWebhookEvents', 'webhook_not_found', [id, hold, grant]],
      ['listWebhookDeliveries', 'webhook_not_found', [id, hold, grant]],
      [
        'resendWebhookEvents',
        'webhook_not_found',
        [id, hold, grant],
        { from: '2020-01-01T00:00:00Z' },
      ],
    ];
    await refuses(async () => {
      for (const [name, code, others, body] of rows) {
        for (const wrong of [...strange, ...others]) {
          const sent = body === undefined ? { id: wrong } : { id: wrong, body };
          expectProblem(await api.call(name, sent), code);
        }
      }
    });
  });

  describe('webhooks', () => {
    const bad: [OperationName, string, unknown[]][] = [
      ['createWebhook', 'url', BAD_URLS],
      ['createWebhook', 'delivery_mode', ['', 'HTTP', 'ws', 1, null]],
      ['createWebhook', 'name', ['', ' ', 'a\0', '\ud800', 'x'.repeat(101), 1, {}]],
      ['createWebhook', 'events', ['', {}, 1, null]],
      ['createWebhook', 'events[0]', [['nope'], [1], [null], ['credits.granted ']]],
      ['createWebhook', 'signature', ['', 'Creem', 'none', 1, null]],
      ['updateWebhook', 'url', BAD_URLS],
      ['updateWebhook', 'name', ['', ' ', 'a\0', '\ud800', 'x'.repeat(101), 1, {}]],
      ['updateWebhook', 'status', ['', 'Enabled', 'deleted', 1, null]],
      ['updateWebhook', 'events', ['', {}, 1, null]],
      ['updateWebhook', 'signature', ['', 'none', 1, null]],
      ['rotateWebhookSecret', 'overlap_seconds', [-1, 604_801, 1.5, '60', 1e300, true, null]],
      ['sendWebhookTestEvent', 'event_type', ['', 'credits.expired', 1, null]],
      ['resendWebhookEvents', 'from', [...BAD_EXACT_INSTANTS, undefined]],
      ['resendWebhookEvents', 'to', BAD_EXACT_INSTANTS],
      ['resendWebhookEvents', 'status', ['', 'Failed', 'pending', 1, null]],
    ];
    test.each(bad)('%s refuses strange values of %s', async (name, param, values) => {
      await refuses(async () => {
        for (const value of values) {
          const whole = name === 'resendWebhookEvents' ? { from: '2020-01-01T00:00:00Z' } : {};
          await refused(name, { ...whole, [param.replace('[0]', '')]: value }, param);
        }
      });
    });

    test('no URL that may not be called', async () => {
      await refuses(async () => {
        for (const url of ['', 'x', 'http://93.184.215.14/', 'https://127.0.0.1/', 'ftp://x/']) {
          await refused('createWebhook', { url }, 'url', 'invalid_webhook_url');
        }
        await refused('createWebhook', {}, 'url');
        await refused('createWebhook', { delivery_mode: 'cli', secret: 'x' }, 'secret');
      });
    });

    test('an acknowledgement has a status, and is of an event', async () => {
      const { id: event } = expectStatus(
        await api.call('sendWebhookTestEvent', { id: webhook, body: {} }),
        200,
      );
      const acknowledge = (of: string, body: unknown) =>
        api.send('POST', `/v1/webhooks/${webhook}/events/${encodeURIComponent(of)}/ack`, { body });
      await refuses(async () => {
        for (const status_code of [99, 600, 200.5, '200', null, undefined, true, {}]) {
          const answer = await acknowledge(event, { status_code });
          expectProblem(answer, 'validation_error', 'status_code');
        }
        for (const response_body of [1, {}, [], 'x'.repeat(10_001)]) {
          const answer = await acknowledge(event, { status_code: 200, response_body });
          expectProblem(answer, 'validation_error', 'response_body');
        }
        for (const of of [webhook, 'x', 'evt_', '\0', '😀', `${event}0`]) {
          const body = { status_code: 200 };
          expectProblem(await acknowledge(of, body), 'event_not_found');
        }
      });
    });

    test('events of before 1970 and after 9998 are none, and no failure', async () => {
      const body = { delivery_mode: 'http', url: 'https://93.184.215.14/h' };
      const { id: called } = expectStatus(await api.call('createWebhook', { body }), 200);
      for (const from of ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z']) {
        for (const to of ['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z']) {
          const span = { id: called, body: { from, to, status: 'all' } };
          const answer = expectStatus(await api.call('resendWebhookEvents', span), 200);
          expect(answer).toMatchObject({ count: 0, has_more: false });
        }
      }
    });
  });
});
