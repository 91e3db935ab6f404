import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nameKey } from '../../src/core/model.js';
import { parseId, verifyLedger } from '../../src/ledger/index.js';
import { Api, expectProblem, expectStatus, uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** One customer and one name, however they are written. */

const COMPOSED = 'Caf\u00e9';
const APART = 'Cafe\u0301';

/** Names that are one name; a small letter may have a composed form where the capital has none. */
const ALIKE: [string, string][] = [
  [COMPOSED, APART],
  [COMPOSED, ` ${APART.toUpperCase()}\u00a0`],
  ['J\u030car', '\u01f0ar'],
  ['\u212bngstr\u00f6m', 'a\u030angstro\u0308m'],
  ['\ud55c\uae00', '\u1112\u1161\u11ab\u1100\u1173\u11af'],
  ['a\u0323\u0307', 'a\u0307\u0323'],
];

test.each(ALIKE)('%j and %j have one key', (one, other) => {
  expect(nameKey(one)).toBe(nameKey(other));
  expect(nameKey(nameKey(one))).toBe(nameKey(one));
});

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await database.drop();
  });

  const create = (customer_id: string, name: string) =>
    api.call('createAccount', { body: { customer_id, name } });
  const list = async (query: Record<string, string>) =>
    expectStatus(await api.call('listAccounts', { query }), 200).data;
  /** Makes a row as it was written before, of an account that was opened today. */
  const rewrite = (id: string, column: 'customer_id' | 'name, name_key', ...values: string[]) =>
    database.engine.reader.query(
      `update tallystick.accounts set (${column}) = row(${values.map((_, n) => `$${n + 2}`)})
        where account_id = $1`,
      [parseId('account', id), ...values],
    );

  describe('names', () => {
    test.each(ALIKE)('%j and %j are one account of one customer', async (one, other) => {
      for (const [first, second] of [
        [one, other],
        [other, one],
      ] as const) {
        const customer = uniqueName('cust');
        const account = expectStatus(await create(customer, first), 201);
        expect(account.name).toBe(first.trim());
        expectProblem(await create(customer, second), 'account_name_taken', 'name');
        for (const name of [first, second, second.toLowerCase()]) {
          expect(await list({ customer_id: customer, name })).toEqual([account]);
        }
      }
    });

    test('that arrive at the same time are told apart as those that come later', async () => {
      const customer = uniqueName('cust');
      const names = Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? COMPOSED : APART));
      const answers = await Promise.all(names.map((name) => create(customer, name)));
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
      expect(answers.filter(({ status }) => status === 409)).toHaveLength(9);
    });

    test.each([
      ['apart', APART],
      ['in a mixture', `${APART} ${COMPOSED}`],
    ])('that were stored %s are found, taken, and told of by verify', async (_, stored) => {
      const customer = uniqueName('cust');
      const account = expectStatus(await create(customer, 'x'), 201);
      await rewrite(account.id, 'name, name_key', stored, stored.toLowerCase());
      const found = [{ ...account, name: stored }];
      expect(await list({ customer_id: customer, name: stored })).toEqual(found);
      expectProblem(await create(customer, stored), 'account_name_taken', 'name');
      if (stored === APART) {
        expect(await list({ customer_id: customer, name: COMPOSED })).toEqual(found);
        expectProblem(await create(customer, COMPOSED), 'account_name_taken', 'name');
      }
      const report = await verifyLedger(database.engine);
      expect(report).toMatchObject({ clean: true, differences: [] });
      expect(report.warnings).toMatchObject([
        {
          kind: 'name_not_normalised',
          count: 1,
          accountId: account.id,
          expected: JSON.stringify(nameKey(stored)),
          found: JSON.stringify(stored.toLowerCase()),
        },
      ]);
      await rewrite(account.id, 'name, name_key', 'x', 'x');
      expect((await verifyLedger(database.engine)).warnings).toEqual([]);
    });
  });

  describe('customer ids', () => {
    test.each([' ', '', '\t\n', '\u00a0', '\u3000 '])('%j is nobody', async (customer_id) => {
      expectProblem(await create(customer_id, 'x'), 'validation_error', 'customer_id');
      const listed = await api.call('listAccounts', { query: { customer_id } });
      expectProblem(listed, 'validation_error', 'customer_id');
    });

    test.each([
      [' ', ''],
      ['', '\n'],
      ['\u00a0', '\u2003\t'],
    ])('blanks around one are no part of it: %j, %j', async (before, after) => {
      const customer = `${uniqueName('cust')} of two words`;
      const account = expectStatus(await create(before + customer + after, 'x'), 201);
      expect(account.customer_id).toBe(customer);
      expectProblem(await create(customer, 'x'), 'account_name_taken', 'name');
      for (const customer_id of [customer, ` ${customer} `]) {
        expect(await list({ customer_id })).toEqual([account]);
      }
    });

    test('may have 255 characters, blanks around them not counted', async () => {
      const longest = 'x'.repeat(255);
      expectStatus(await create(` ${longest} `, 'x'), 201);
      expectProblem(await create(`x${longest}`, 'x'), 'validation_error', 'customer_id');
    });

    test('that were stored with blanks are left alone, and told of by verify', async () => {
      const account = expectStatus(await create(uniqueName('cust'), 'x'), 201);
      for (const stored of [` ${account.customer_id}`, ' ', `${account.customer_id}\u00a0`]) {
        await rewrite(account.id, 'customer_id', stored);
        const report = await verifyLedger(database.engine);
        expect(report).toMatchObject({ clean: true, differences: [] });
        const [accountId, expected] = [account.id, JSON.stringify(stored.trim())];
        const kind = 'customer_id_not_trimmed';
        expect(report.warnings).toMatchObject([{ kind, count: 1, accountId, expected }]);
        expect((await api.call('getAccount', { id: account.id })).body.customer_id).toBe(stored);
      }
      await rewrite(account.id, 'customer_id', account.customer_id);
    });
  });
});
