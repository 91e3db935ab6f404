import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Creem } from 'creem';
import {
  APIError,
  ConnectionError,
  CreemError,
  CustomerCreditsErrorResponseDto,
  RequestTimeoutError,
} from 'creem/models/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorEnvelope } from '../../src/contract/schema.js';
import { refuse } from '../../src/core/errors.js';
import { problem } from '../../src/server/present/problem.js';
import { uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/** The official SDK as it comes from npm, pointed at this server by `serverURL` alone. */

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let creem: Creem;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    creem = new Creem({ apiKey: server.key, serverURL: server.url });
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  const open = (initialBalance?: string) =>
    creem.customerCredits.createAccount({
      customerId: uniqueName('cust'),
      ...(initialBalance === undefined ? {} : { initialBalance }),
    });
  const movement = (amount: string) => ({
    amount,
    reference: uniqueName('order'),
    idempotencyKey: uniqueName('key'),
  });
  const balance = async (id: string) => (await creem.customerCredits.getAccountBalance(id)).balance;

  describe('the fifteen methods', () => {
    test('createAccount, getAccount, getAccountBalance', async () => {
      const { customerCredits } = creem;
      const customerId = uniqueName('cust');
      const created = await customerCredits.createAccount({
        customerId,
        name: '  AI Credits ',
        unitLabel: 'tokens',
        initialBalance: '900719925474099312345',
      });
      expect(created).toMatchObject({
        customerId,
        name: 'AI Credits',
        unitLabel: 'tokens',
        status: 'active',
        id: expect.stringMatching(/^cca_/),
        storeId: expect.stringMatching(/^sto_/),
      });
      expect(await customerCredits.getAccount(created.id)).toEqual(created);
      const now = await customerCredits.getAccountBalance(created.id);
      expect(now).toMatchObject({ balance: '900719925474099312345' });
      expect(now.updatedAt).toBeDefined();
      expect(now.asOf).toBeUndefined();
    });

    test('the defaults are Creem’s', async () => {
      expect(await open()).toMatchObject({ name: 'default', unitLabel: 'credits' });
    });

    test('creditAccount, debitAccount and their replays', async () => {
      const { customerCredits } = creem;
      const { id } = await open();
      const credit = movement('75');
      const first = await customerCredits.creditAccount(id, credit);
      expect(first).toMatchObject({
        reference: credit.reference,
        idempotencyKey: credit.idempotencyKey,
        reversalOf: null,
        entries: [{ accountId: id, side: 'credit', amount: '75', transactionId: first.id }],
      });
      expect(await customerCredits.creditAccount(id, credit)).toEqual(first);
      const debit = await customerCredits.debitAccount(id, movement('25'));
      expect(debit.entries).toMatchObject([{ side: 'debit', amount: '25' }]);
      expect(await balance(id)).toBe('50');
    });

    test('reverseTransaction and reverseTransactionById', async () => {
      const { customerCredits } = creem;
      const { id } = await open('10');
      const debit = await customerCredits.debitAccount(id, movement('3'));
      const reversal = await customerCredits.reverseTransaction(id, { transactionId: debit.id });
      expect(reversal).toMatchObject({
        reversalOf: debit.id,
        reference: debit.reference,
        idempotencyKey: `reversal:${debit.id}`,
        entries: [{ side: 'credit', amount: '3' }],
      });
      expect(await customerCredits.reverseTransactionById(debit.id)).toEqual(reversal);
      expect(await balance(id)).toBe('10');
    });

    test('postTransaction, getTransaction, listTransactionsByReference', async () => {
      const { customerCredits } = creem;
      const [from, to] = [await open('300'), await open()];
      const reference = uniqueName('a reference & more');
      const posted = await customerCredits.postTransaction({
        reference,
        idempotencyKey: uniqueName('key'),
        entries: [
          { accountId: from.id, side: 'debit', amount: '300' },
          { accountId: to.id, side: 'credit', amount: '300' },
        ],
      });
      expect(posted.entries.map(({ accountId }) => accountId)).toEqual([from.id, to.id]);
      expect(await customerCredits.getTransaction(posted.id)).toEqual(posted);
      const reversal = await customerCredits.reverseTransactionById(posted.id);
      const listed = await customerCredits.listTransactionsByReference(reference);
      expect(listed).toEqual({ object: 'list', data: [reversal, posted], hasMore: false });
    });

    test('freezeAccount, unfreezeAccount, closeAccount', async () => {
      const { customerCredits } = creem;
      const { id } = await open('5');
      expect(await customerCredits.freezeAccount(id)).toMatchObject({ status: 'frozen' });
      expect(await customerCredits.unfreezeAccount(id)).toMatchObject({ status: 'active' });
      expect(await customerCredits.closeAccount(id)).toMatchObject({ status: 'closed' });
      expect(await balance(id)).toBe('5');
    });
  });

  describe('page iterators', () => {
    let id: string;
    let all: string[];

    beforeAll(async () => {
      ({ id } = await open());
      for (let amount = 1; amount <= 12; amount++) {
        await creem.customerCredits.creditAccount(id, movement(`${amount}`));
      }
      const page = await creem.customerCredits.listEntries(id, 100);
      all = page.result.data.map((entry) => entry.id);
      expect(page.result.data.map(({ amount }) => Number(amount))).toEqual(
        Array.from({ length: 12 }, (_, index) => 12 - index),
      );
    });

    const collect = async (...args: [number?, string?, string?]) => {
      const sizes: number[] = [];
      const found: string[] = [];
      let more = false;
      for await (const { result } of await creem.customerCredits.listEntries(id, ...args)) {
        sizes.push(result.data.length);
        found.push(...result.data.map((entry) => entry.id));
        more = result.hasMore;
      }
      return { sizes, found, more };
    };

    test('forwards, with a short last page', async () => {
      expect(await collect(5)).toEqual({ sizes: [5, 5, 2], found: all, more: false });
    });

    test('forwards, with an exactly full last page and then an empty one', async () => {
      expect(await collect(4)).toEqual({ sizes: [4, 4, 4, 0], found: all, more: false });
    });

    test('the standard page has ten', async () => {
      expect((await collect()).sizes).toEqual([10, 2]);
    });

    test('starting_after the very last item is an empty page', async () => {
      expect(await collect(5, all.at(-1))).toEqual({ sizes: [0], found: [], more: false });
    });

    test('ending_before asks for the items right before the cursor', async () => {
      const page = await creem.customerCredits.listEntries(id, 3, undefined, all[7]);
      expect(page.result.data.map((entry) => entry.id)).toEqual(all.slice(4, 7));
      expect(page.result.hasMore).toBe(true);
    });

    test('iterating with ending_before sends both cursors, which make a window', async () => {
      const { found, sizes } = await collect(3, undefined, all[7]);
      expect(found).toEqual(all.slice(4, 7));
      expect(sizes).toEqual([3, 0]);
    });

    test('both cursors: what lies between them, newest first', async () => {
      const page = await creem.customerCredits.listEntries(id, 3, all[1], all[7]);
      expect(page.result.data.map((entry) => entry.id)).toEqual(all.slice(2, 5));
      expect(page.result.hasMore).toBe(true);
      expect((await collect(3, all[1], all[7])).found).toEqual(all.slice(2, 7));
    });

    test('paging backwards by the first item of each page, as the CLI does', async () => {
      const found: string[] = [];
      let cursor = all.at(-1)!;
      for (;;) {
        const { result } = await creem.customerCredits.listEntries(id, 4, undefined, cursor);
        found.unshift(...result.data.map((entry) => entry.id));
        if (!result.hasMore) break;
        cursor = result.data[0]!.id;
      }
      expect(found).toEqual(all.slice(0, -1));
    });

    test('accounts of one customer', async () => {
      const customerId = uniqueName('cust');
      const opened: string[] = [];
      for (let n = 0; n < 5; n++) {
        const account = await creem.customerCredits.createAccount({ customerId, name: `n${n}` });
        opened.unshift(account.id);
      }
      const found: string[] = [];
      for await (const { result } of await creem.customerCredits.listAccounts(2, customerId)) {
        found.push(...result.data.map((account) => account.id));
      }
      expect([...found].sort()).toEqual([...opened].sort());
      const before = await creem.customerCredits.listAccounts(2, customerId, undefined, found[3]);
      expect(before.result.data.map((account) => account.id)).toEqual(found.slice(1, 3));
    });
  });

  describe('error classes', () => {
    test('a declared 409 is typed', async () => {
      const { id } = await open();
      await creem.customerCredits.freezeAccount(id);
      const error = await creem.customerCredits.creditAccount(id, movement('1')).catch((e) => e);
      expect(error).toBeInstanceOf(CustomerCreditsErrorResponseDto);
      expect(error).toBeInstanceOf(CreemError);
      expect(error.statusCode).toBe(409);
      expect(error.error).toMatchObject({ type: 'invalid_request_error', code: 'account_frozen' });
      expect(error.error.requestId).toMatch(/^req_/);
      expect(error.message).toBe(error.error.message);
    });

    test('a declared 422 is typed', async () => {
      const [from, to] = [await open('1'), await open()];
      const error = await creem.customerCredits
        .postTransaction({
          reference: 'r',
          idempotencyKey: uniqueName('key'),
          entries: [
            { accountId: from.id, side: 'debit', amount: '1' },
            { accountId: to.id, side: 'credit', amount: '2' },
          ],
        })
        .catch((e) => e);
      expect(error).toBeInstanceOf(CustomerCreditsErrorResponseDto);
      expect(error.error).toMatchObject({ code: 'unbalanced_transaction', param: 'entries' });
    });

    test('insufficient_balance is an APIError that says so', async () => {
      const { id } = await open();
      const error = await creem.customerCredits.debitAccount(id, movement('1')).catch((e) => e);
      expect(error).toBeInstanceOf(APIError);
      expect(error.statusCode).toBe(422);
      expect(error.body).toContain('insufficient');
      expect(errorEnvelope.parse(JSON.parse(error.body)).error.code).toBe('insufficient_balance');
    });

    test.each([
      [404, () => creem.customerCredits.getAccount('a/b?c')],
      [400, () => creem.customerCredits.listAccounts(101)],
      [401, () => new Creem({ serverURL: server.url, apiKey: '' }).customerCredits.listAccounts()],
    ])('%i is an APIError', async (status, call) => {
      const error = await call().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(APIError);
      expect((error as APIError).statusCode).toBe(status);
    });

    test('a server that is not there', async () => {
      const lost = new Creem({ apiKey: server.key, serverURL: 'http://127.0.0.1:1' });
      await expect(lost.customerCredits.getAccount('x')).rejects.toBeInstanceOf(ConnectionError);
    });
  });
});

describe('retries', () => {
  test('a 503 with Retry-After is tried again and then succeeds', async () => {
    const away = problem(refuse('overloaded', 'Too many.'), 'req_1');
    let calls = 0;
    const flaky = createServer((_, response) => {
      calls++;
      if (calls < 3) {
        response.writeHead(away.status, { ...away.headers, 'retry-after-ms': '1' });
        response.end(away.body);
      } else {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"balance":"5"}');
      }
    });
    await new Promise<void>((resolve) => flaky.listen(0, '127.0.0.1', resolve));
    const { port } = flaky.address() as AddressInfo;
    const backoff = { initialInterval: 1, maxInterval: 5, exponent: 1, maxElapsedTime: 5_000 };
    const creem = new Creem({
      apiKey: 'tally_test_x',
      serverURL: `http://127.0.0.1:${port}`,
      retryConfig: { strategy: 'backoff', backoff },
    });
    expect(await creem.customerCredits.getAccountBalance('cca_x')).toMatchObject({ balance: '5' });
    expect(calls).toBe(3);
    const slow = creem.customerCredits.getAccountBalance('cca_x', undefined, {
      fetchOptions: { signal: AbortSignal.timeout(0) },
    });
    await expect(slow).rejects.toBeInstanceOf(RequestTimeoutError);
    flaky.closeAllConnections();
    await new Promise((resolve) => flaky.close(resolve));
  });
});
