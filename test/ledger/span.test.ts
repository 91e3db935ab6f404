import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseId } from '../../src/core/id.js';
import { Ledger } from '../../src/ledger/index.js';
import type { Engine } from '../../src/store/engine/db.js';
import { Api, expectStatus, expectTransaction } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** Histories by span of time: where it begins and ends, in pages, and as CSV. */

const T0 = Date.UTC(2100, 0, 1);
const at = (ms: number) => new Date(T0 + ms).toISOString();
const PATH = '/v1/customer-credits/accounts';

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let id: string;
  /** The instants of the entries, in milliseconds after T0; several share one. */
  const INSTANTS = [0, 0, 1, 1, 1, 2, 5, 5, 9, 9, 9, 9, 10];

  const setClock = (ms: number) => server.ledger.setClock(server.store, T0 + ms);

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    await setClock(0);
    ({ id } = await api.open());
    for (const instant of INSTANTS) {
      await setClock(instant);
      expectTransaction(await api.credit(id, '1'));
    }
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await database.drop();
  });

  const expected = (from: number, to: number) =>
    INSTANTS.filter((instant) => instant >= from && instant < to).reverse();
  const list = async (query: Record<string, string>) => {
    const { data } = await api.entries(id, { limit: '100', ...query });
    const entries = data as unknown as { id: string; created_at: string }[];
    return entries.map(({ created_at }) => Date.parse(created_at) - T0);
  };

  test('from is inside and to is outside, between any two instants', async () => {
    for (let from = -1; from <= 11; from++) {
      for (let to = -1; to <= 12; to++) {
        const listed = await list({ from: at(from), to: at(to) });
        expect(listed, `${from} to ${to}`).toEqual(expected(from, to));
      }
    }
  });

  test('one end alone', async () => {
    expect(await list({ from: at(5) })).toEqual(expected(5, 99));
    expect(await list({ to: at(5) })).toEqual(expected(-1, 5));
  });

  test('in pages in both directions, and only what the other filters let through', async () => {
    const span = { from: at(1), to: at(10) };
    const whole = (await api.entries(id, { ...span, limit: '100' })).data.map((entry) => entry.id);
    const older: string[] = [];
    const newer: string[] = [];
    const page = async (cursor: Record<string, string>) =>
      api.entries(id, { ...span, limit: '3', ...cursor });
    for (let more = true; more; ) {
      const next = await page(older.length === 0 ? {} : { starting_after: older.at(-1)! });
      older.push(...next.data.map((entry) => entry.id));
      more = next.has_more;
    }
    newer.push(whole.at(-1)!);
    for (let more = true; more; ) {
      const next = await page({ ending_before: newer[0]! });
      newer.unshift(...next.data.map((entry) => entry.id));
      more = next.has_more;
    }
    expect(older).toEqual(whole);
    expect(newer).toEqual(whole);
    expect((await api.entries(id, { ...span, side: 'debit' })).data).toEqual([]);
    expect((await api.entries(id, { ...span, reference: 'none' })).data).toEqual([]);
  });

  test('as CSV', async () => {
    const query = new URLSearchParams({ from: at(1), to: at(9) });
    const headers = { accept: 'text/csv' };
    const csv = await api.send('GET', `${PATH}/${id}/entries?${query}`, { headers });
    const [, ...lines] = (csv.body as string).trimEnd().split('\r\n');
    const instants = lines.map((row) => Date.parse(row.split(',').at(-2)!) - T0);
    expect(instants).toEqual(expected(1, 9));
  });

  test('the balance of a CSV line is what a read said then, without what was to come', async () => {
    await setClock(20);
    const account = await api.open();
    const told: string[] = [];
    const tell = async () => told.unshift((await api.balance(account.id))!);
    await api.credit(account.id, '5');
    await tell();
    const terms = { effective_at: at(1_000), expires_at: at(5_000) };
    const grant = { amount: '1000', reference: 'r', idempotency_key: 'grant', ...terms };
    expectStatus(await api.call('creditAccount', { id: account.id, body: grant }), 201);
    await tell();
    const lent = { ...grant, amount: '30', idempotency_key: 'taken back' };
    const taken = expectTransaction(
      await api.call('creditAccount', { id: account.id, body: lent }),
    );
    await tell();
    expectTransaction(await api.call('reverseTransactionById', { id: taken.id }));
    await tell();
    await setClock(1_000);
    expectTransaction(await api.debit(account.id, '7'));
    await tell();
    await setClock(5_000);
    expectTransaction(await api.credit(account.id, '1'));
    await tell();
    const headers = { accept: 'text/csv' };
    const csv = await api.send('GET', `${PATH}/${account.id}/entries`, { headers });
    const [, ...lines] = (csv.body as string).trimEnd().split('\r\n');
    const balances = lines.map((row) => row.split(',')[5]!);
    // The expiry of what was left is a line of its own, before the last credit.
    expect(told).toEqual(['6', '998', '5', '5', '5', '5']);
    expect(balances).toEqual(['6', '5', '998', '5', '5', '5', '5']);
  });

  test('where there never was a grant, one statement finds none', async () => {
    const sent: string[] = [];
    const { reader } = database.engine;
    const noting: Engine = {
      ...database.engine,
      reader: {
        query: (text, values) => {
          sent.push(text);
          return reader.query(text, values);
        },
      },
      onLane: (work) => database.engine.onLane(work),
      close: () => database.engine.close(),
    };
    const ledger = new Ledger(noting);
    const accountId = parseId('account', id)!;
    const page = { limit: 10, after: undefined, before: undefined };
    const { items } = await ledger.entries(server.store, accountId, page);
    sent.length = 0;
    expect(await ledger.funds.pendingAfter(server.store, accountId, items)).toEqual(
      items.map(() => 0n),
    );
    expect(sent).toHaveLength(1);
  });
});
