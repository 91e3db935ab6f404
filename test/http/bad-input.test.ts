import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperationName } from '../../src/contract/operations.js';
import { Api, checkProblem, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { BAD_AMOUNTS, BAD_TEXTS } from '../harness/bad-values.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { countRows, expectSound } from '../harness/verify.js';

/** Known bad values, each in every place where it could do harm. */

const GOOD_TEXTS = [
  '😀',
  '👩‍👩‍👧‍👦 café ñ',
  '__proto__',
  'constructor',
  'NULL',
  '"',
  '\\',
  '{a,"b"}',
  "'; drop table x; --",
  '\u202e',
  ' ',
  '%00',
  '<script>',
  '\t\n',
  'x'.repeat(255),
  '🙂'.repeat(127),
];
/** Cuts text without leaving half a character at its end. */
const cut = (text: string, length: number) => text.slice(0, length).replace(/[\ud800-\udbff]$/, '');

const BODIES_OF_NOTHING = ['[]', '"text"', '1', 'null', 'true', '[{}]', '{"__proto__":null}'];

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let id: string;
  let other: string;
  let transaction: string;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    ({ id } = await api.open({ initial_balance: '1000' }));
    ({ id: other } = await api.open());
    transaction = expectTransaction(await api.credit(id, '1')).id;
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
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
  const line = (fields: object = {}) => ({ account_id: id, side: 'debit', amount: '1', ...fields });
  const post = (entry: object, fields: object = {}) => ({
    reference: 'r',
    idempotency_key: uniqueName('key'),
    entries: [line(entry), line({ account_id: other, side: 'credit' })],
    ...fields,
  });
  /** Runs requests that must all be refused, and shows that none of them wrote anything. */
  const refuses = async (act: () => Promise<void>) => {
    const before = await countRows(database.engine.reader);
    await act();
    expect(await countRows(database.engine.reader)).toBe(before);
  };

  test.each(BAD_AMOUNTS.map((amount) => [JSON.stringify(amount).slice(0, 50), amount]))(
    '%s is no amount',
    async (_, amount) => {
      await refuses(async () => {
        for (const name of ['creditAccount', 'debitAccount'] as const) {
          const answer = await api.call(name, { id, body: movement({ amount }) });
          expectProblem(answer, 'invalid_amount', 'amount');
        }
        const posted = await api.call('postTransaction', { body: post({ amount }) });
        expectProblem(posted, 'invalid_amount', 'entries[0].amount');
        if (amount === '0') return;
        const body = { customer_id: uniqueName('cust'), initial_balance: amount };
        const opened = await api.call('createAccount', { body });
        expectProblem(opened, 'invalid_amount', 'initial_balance');
      });
    },
  );

  test('an amount that is left out is a field that is left out', async () => {
    const { amount: _, ...body } = movement();
    const answer = await api.call('creditAccount', { id, body });
    expectProblem(answer, 'validation_error', 'amount');
  });

  test.each(BAD_TEXTS.map((text) => [JSON.stringify(text).slice(0, 40), text]))(
    '%s is no text for any field',
    async (_, text) => {
      await refuses(async () => {
        for (const field of ['customer_id', 'name', 'unit_label']) {
          const body = { customer_id: uniqueName('cust'), [field]: text };
          const answer = await api.call('createAccount', { body });
          expectProblem(answer, 'validation_error', field);
        }
        for (const field of ['reference', 'idempotency_key']) {
          const credit = await api.call('creditAccount', { id, body: movement({ [field]: text }) });
          expectProblem(credit, 'validation_error', field);
          const posted = await api.call('postTransaction', { body: post({}, { [field]: text }) });
          expectProblem(posted, 'validation_error', field);
        }
        if (typeof text !== 'string') {
          const reverse = await api.call('reverseTransaction', {
            id,
            body: { transaction_id: text },
          });
          expectProblem(reverse, 'validation_error', 'transaction_id');
          for (const [field, entry] of [
            ['account_id', text],
            ['side', text],
          ] as const) {
            const posted = await api.call('postTransaction', { body: post({ [field]: entry }) });
            expectProblem(posted, 'validation_error', `entries[0].${field}`);
          }
        }
      });
    },
  );

  test.each(GOOD_TEXTS)('%j is text like any other, and comes back unchanged', async (text) => {
    const customer_id = cut(`${uniqueName('c')}${text}`, 255).trim();
    const name = text.trim() === '' ? 'x' : cut(text, 100);
    const body = { customer_id, name, unit_label: cut(text, 100) };
    const account = (await api.call('createAccount', { body })).body;
    expect(account).toMatchObject({ ...body, name: name.trim() });
    const query = { customer_id };
    expect((await api.call('listAccounts', { query })).body.data).toEqual([account]);
    const idempotency_key = text;
    const movementBody = { amount: '1', reference: text, idempotency_key };
    const credit = await api.call('creditAccount', { id: account.id, body: movementBody });
    expect(expectTransaction(credit)).toMatchObject({ reference: text, idempotency_key });
    const listed = await api.call('listTransactionsByReference', { query: { reference: text } });
    expect(listed.body.data[0]).toEqual(credit.body);
    const replay = await api.call('creditAccount', { id: account.id, body: movementBody });
    expect(replay.headers.get('x-idempotent-replay')).toBe('true');
  });

  test('__proto__ and its kin are fields like any other: unknown', async () => {
    await refuses(async () => {
      for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
        const text = `{"customer_id":"c","${key}":{"name":"x"}}`;
        const answer = await api.call('createAccount', { body: text });
        expectProblem(answer, 'validation_error', key);
        const nested = JSON.stringify(post({})).replace('"side"', `"${key}":1,"side"`);
        const posted = await api.call('postTransaction', { body: nested });
        expectProblem(posted, 'validation_error', `entries[0].${key}`);
        const query = await api.call('listAccounts', { query: { [`${key}x`]: '1' } });
        expectProblem(query, 'validation_error', `${key}x`);
      }
      const proto = await api.send('GET', '/v1/customer-credits/accounts?__proto__=1');
      expectProblem(proto, 'validation_error', '__proto__');
    });
  });

  test.each(BODIES_OF_NOTHING)('%s is no body of anything', async (body) => {
    await refuses(async () => {
      for (const name of ['createAccount', 'creditAccount', 'postTransaction'] as const) {
        checkProblem(await api.call(name, { id, body }));
      }
    });
  });

  test('a megabyte, in one string or in a million brackets', async () => {
    await refuses(async () => {
      const large = ['x'.repeat(1_000_000), '['.repeat(1_000_000), ' '.repeat(1_000_000)];
      for (const body of large) {
        const answer = await api.call('creditAccount', { id, body });
        expectProblem(answer, 'payload_too_large');
      }
      const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
      expectProblem(await api.call('creditAccount', { id, body: deep }), 'validation_error');
    });
    expect((await api.call('getAccount', { id })).status).toBe(200);
  });

  test('lines: none, one, too many, and none that is an object', async () => {
    await refuses(async () => {
      const many = Array.from({ length: 201 }, () => line());
      for (const entries of [
        [],
        [line()],
        many,
        {},
        'x',
        null,
        1,
        [1, 2],
        [null, null],
        [[], []],
      ]) {
        const answer = await api.call('postTransaction', { body: post({}, { entries }) });
        expectProblem(answer, 'validation_error');
        expect(answer.body.error.param).toMatch(/^entries/);
      }
      const answer = await api.call('postTransaction', { body: post({ side: 'Debit' }) });
      expectProblem(answer, 'validation_error', 'entries[0].side');
    });
  });

  test.each(['0', '101', '-1', '1.5', '1e1', '', ' 1', '+1', 'x', '0x1', '10000000000'])(
    'limit=%s is refused, and never clamped',
    async (limit) => {
      const lists = [
        ['listAccounts', {}],
        ['listEntries', { id }],
      ] as const;
      for (const [name, sent] of lists) {
        const answer = await api.call(name, { ...sent, query: { limit } });
        expectProblem(answer, 'validation_error', 'limit');
      }
    },
  );

  test('ids of the wrong kind are ids of nothing', async () => {
    const store = server.store.id;
    const [{ id: entry } = { id: '' }] = (await api.entries(id)).data;
    const strange = [entry, store, 'x', id.toUpperCase(), `${id}0`, id.slice(0, -1), 'cca_', '😀'];
    const onAccount: [OperationName, object?][] = [
      ['getAccount'],
      ['getAccountBalance'],
      ['listEntries'],
      ['freezeAccount'],
      ['unfreezeAccount'],
      ['closeAccount'],
      ['creditAccount', movement()],
      ['debitAccount', movement()],
      ['reverseTransaction', { transaction_id: transaction }],
    ];
    await refuses(async () => {
      for (const wrong of [...strange, transaction]) {
        for (const [name, body] of onAccount) {
          const sent = body === undefined ? { id: wrong } : { id: wrong, body };
          expectProblem(await api.call(name, sent), 'account_not_found');
        }
        const posted = await api.call('postTransaction', { body: post({ account_id: wrong }) });
        expectProblem(posted, 'account_not_found', 'entries[0].account_id');
      }
      for (const wrong of [...strange, id]) {
        for (const name of ['getTransaction', 'reverseTransactionById'] as const) {
          expectProblem(await api.call(name, { id: wrong }), 'transaction_not_found');
        }
        const body = { transaction_id: wrong };
        const answer = await api.call('reverseTransaction', { id, body });
        expectProblem(answer, 'transaction_not_found', 'transaction_id');
        for (const cursor of ['starting_after', 'ending_before']) {
          if (wrong === entry) continue;
          const listed = await api.call('listEntries', { id, query: { [cursor]: wrong } });
          expectProblem(listed, 'invalid_cursor', cursor);
        }
      }
    });
  });

  describe('the process lives', () => {
    test('and answers', async () => {
      expect((await api.send('GET', '/livez')).status).toBe(200);
      expect(await api.balance(id)).toMatch(/^\d+$/);
    });
  });
});
