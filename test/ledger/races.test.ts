import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, Api, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngine, onEngines, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { countRows, expectSound } from '../harness/verify.js';

/** Requests that race over HTTP, on one server and on two that share a database. */

const times = <T>(count: number, make: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));
const withStatus = (answers: readonly Answer[], status: number) =>
  answers.filter((answer) => answer.status === status);

onEngines((engine) => {
  describe('one server', () => races(() => engine.create(), 1));
});
onEngine(POSTGRES, (engine) => {
  describe('two servers on one database', () => races(() => engine.create(), 2));
  describe('at serializable', () => races(() => engine.create({ isolation: 'serializable' }), 2));
});

function races(create: () => Promise<TestDatabase>, count: number): void {
  let database: TestDatabase;
  const servers: TestServer[] = [];
  let apis: Api[];

  beforeAll(async () => {
    database = await create();
    servers.push(await startServer(database.engine));
    while (servers.length < count) {
      servers.push(await startServer(await database.another(), { beside: servers[0]! }));
    }
    apis = servers.map(({ url, key }) => new Api(url, key));
  });
  afterAll(async () => {
    for (const server of servers) expect(server.errors).toEqual([]);
    await Promise.all(servers.map((server) => server.close()));
    await expectSound(database.engine.reader);
    await database.drop();
  });

  /** The servers take turns, so that every race is between them. */
  const api = (index = 0) => apis[index % apis.length]!;
  const rows = () => countRows(database.engine.reader);

  test('200 debits of 1 against 100: 100 succeed, and the balance is 0', async () => {
    const { id } = await api().open({ initial_balance: '100' });
    const answers = await times(200, (n) => api(n).debit(id, '1'));
    const refused = withStatus(answers, 422);
    expect(withStatus(answers, 201)).toHaveLength(100);
    expect(refused).toHaveLength(100);
    for (const answer of refused) expectProblem(answer, 'insufficient_balance');
    expect(await api().balance(id)).toBe('0');
  });

  test('50 with one key and one body: one transaction and 49 replays of it', async () => {
    const { id } = await api().open();
    const key = uniqueName('key');
    const answers = await times(50, (n) => api(n).credit(id, '7', key));
    const bodies = answers.map(expectTransaction);
    for (const body of bodies) expect(body).toEqual(bodies[0]);
    const replays = answers.filter(({ headers }) => headers.get('x-idempotent-replay') === 'true');
    expect(replays).toHaveLength(49);
    expect(await api().balance(id)).toBe('7');
  });

  test('one key with different bodies: one 201, the rest mismatch, nothing else', async () => {
    const { id } = await api().open();
    const before = await rows();
    const key = uniqueName('key');
    const answers = await times(50, (n) => api(n).credit(id, `${n + 1}`, key));
    const [won, ...others] = withStatus(answers, 201);
    expect(others).toEqual([]);
    const lost = withStatus(answers, 409);
    expect(lost).toHaveLength(49);
    for (const answer of lost) expectProblem(answer, 'idempotency_key_mismatch');
    expect(await api().balance(id)).toBe(won!.body.entries[0].amount);
    expect((await api().entries(id)).data).toHaveLength(1);
    expect(await rows()).not.toBe(before);
  });

  test('one key on two accounts, which no common lock orders', async () => {
    const accounts = await times(20, () => api().open());
    const key = uniqueName('key');
    const answers = await times(20, (n) => api(n).credit(accounts[n]!.id, '5', key));
    expect(withStatus(answers, 201)).toHaveLength(1);
    expect(withStatus(answers, 409)).toHaveLength(19);
    const balances = await times(20, (n) => api().balance(accounts[n]!.id));
    expect(balances.filter((balance) => balance !== '0')).toEqual(['5']);
  });

  test('one account name, many at once: one is opened', async () => {
    const body = { customer_id: uniqueName('cust'), name: 'points', initial_balance: '3' };
    const answers = await times(30, (n) => api(n).call('createAccount', { body }));
    expect(withStatus(answers, 201)).toHaveLength(1);
    for (const answer of withStatus(answers, 409)) expectProblem(answer, 'account_name_taken');
    expect(withStatus(answers, 409)).toHaveLength(29);
    const query = { customer_id: body.customer_id };
    expect((await api().call('listAccounts', { query })).body.data).toHaveLength(1);
  });

  test('one reversal, many at once: one is posted', async () => {
    const { id } = await api().open();
    const { id: transaction_id } = expectTransaction(await api().credit(id, '5'));
    const answers = await times(30, (n) =>
      n % 3 === 0
        ? api(n).call('reverseTransaction', { id, body: { transaction_id } })
        : api(n).call('reverseTransactionById', { id: transaction_id }),
    );
    const ids = new Set(answers.map((answer) => expectTransaction(answer).id));
    expect(ids.size).toBe(1);
    const first = answers.filter(({ headers }) => headers.get('x-idempotent-replay') === null);
    expect(first).toHaveLength(1);
    expect(await api().balance(id)).toBe('0');
  });

  test('a key that was refused for lack of balance works after a top-up', async () => {
    const { id } = await api().open();
    const key = uniqueName('key');
    expectProblem(await api().debit(id, '5', key), 'insufficient_balance');
    expectTransaction(await api(1).credit(id, '5'));
    const debit = await api(1).debit(id, '5', key);
    expectTransaction(debit);
    expect(debit.headers.get('x-idempotent-replay')).toBeNull();
    expect(await api().balance(id)).toBe('0');
  });

  test.each(['freezeAccount', 'closeAccount'] as const)('a replay outlives %s', async (name) => {
    const { id } = await api().open();
    const key = uniqueName('key');
    const first = expectTransaction(await api().credit(id, '5', key));
    const reversed = expectTransaction(
      await api().call('reverseTransactionById', { id: first.id }),
    );
    const [from, to] = [await api().open({ initial_balance: '3' }), { id }];
    const lines = [
      [from.id, -3],
      [to.id, 3],
    ] as const;
    const posted = expectTransaction(await api().post(lines, `${key} post`));
    await api().call(name, { id });
    expect(expectTransaction(await api(1).credit(id, '5', key))).toEqual(first);
    expect(expectTransaction(await api(1).post(lines, `${key} post`))).toEqual(posted);
    const again = await api(1).call('reverseTransactionById', { id: first.id });
    expect(expectTransaction(again)).toEqual(reversed);
    const code = name === 'freezeAccount' ? 'account_frozen' : 'account_closed';
    expectProblem(await api().credit(id, '5'), code);
  });

  test('a freeze among debits: none is posted after it', async () => {
    const { id } = await api().open({ initial_balance: '1000' });
    const [debits] = await Promise.all([
      times(100, (n) => api(n).debit(id, '1')),
      api(1).call('freezeAccount', { id }),
    ]);
    const done = withStatus(debits, 201).length;
    for (const answer of withStatus(debits, 409)) expectProblem(answer, 'account_frozen');
    expect(done + withStatus(debits, 409).length).toBe(100);
    expect(await api().balance(id)).toBe(`${1000 - done}`);
  });

  test('transactions over the same accounts in opposite orders meet no deadlock', async () => {
    const accounts = await times(6, () => api().open({ initial_balance: '1000' }));
    const ids = accounts.map(({ id }) => id);
    const answers = await times(200, (n) => {
      const turned = [...ids.slice(n % 6), ...ids.slice(0, n % 6)];
      const order = n % 2 === 0 ? turned : turned.reverse();
      const last = order.length - 1;
      return api(n).post(order.map((id, place) => [id, place === last ? last : -1] as const));
    });
    for (const answer of answers) expect([201, 422]).toContain(answer.status);
    const balances = await times(6, (n) => api().balance(ids[n]!));
    expect(balances.reduce((sum, balance) => sum + Number(balance), 0)).toBe(6000);
  });
}
