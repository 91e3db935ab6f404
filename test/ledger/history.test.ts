import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api, expectProblem, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/** Histories while they are written, balances at an instant, and what nobody may change. */

const NOBODY = '00000000-0000-7000-8000-000000000000';

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
    await expectSound(database.engine.reader);
    await database.drop();
  });

  describe('paging while writers commit', () => {
    /** Writes without pause, four at a time, until it is told to stop. */
    const write = (id: string) => {
      let stopped = false;
      const writer = async () => {
        while (!stopped) expectTransaction(await api.credit(id, '1'));
      };
      const done = Promise.all([writer(), writer(), writer(), writer()]);
      return async () => {
        stopped = true;
        await done;
      };
    };
    const all = async (id: string) => {
      const found: string[] = [];
      for (let after: string | undefined; ; after = found.at(-1)) {
        const query = { limit: '100', ...(after === undefined ? {} : { starting_after: after }) };
        const { data, has_more } = await api.entries(id, query);
        found.push(...data.map((entry) => entry.id));
        if (!has_more) return found;
      }
    };
    const filled = async () => {
      const { id } = await api.open();
      await Promise.all(Array.from({ length: 60 }, () => api.credit(id, '1')));
      return id;
    };

    test('from the newest to the oldest: no gap, no duplicate', async () => {
      const id = await filled();
      const stop = write(id);
      const found: string[] = [];
      for (;;) {
        const after: Record<string, string> =
          found.length > 0 ? { starting_after: found.at(-1)! } : {};
        const { data, has_more } = await api.entries(id, { limit: '7', ...after });
        found.push(...data.map((entry) => entry.id));
        if (!has_more) break;
      }
      await stop();
      const whole = await all(id);
      expect(whole.length).toBeGreaterThan(found.length);
      expect(found).toEqual(whole.slice(-found.length));
    });

    test('from the oldest to the newest: no gap, no duplicate', async () => {
      const id = await filled();
      const found = [(await all(id)).at(-1)!];
      const stop = write(id);
      let stopping: Promise<void> | undefined;
      for (;;) {
        const { data, has_more } = await api.entries(id, { limit: '7', ending_before: found[0]! });
        found.unshift(...data.map((entry) => entry.id));
        // The writers would stay ahead of the reader for ever.
        if (found.length > 90) stopping ??= stop();
        if (!has_more && stopping !== undefined) break;
      }
      await stopping;
      const whole = await all(id);
      const seen = found.length;
      expect(found).toEqual(whole.slice(-seen));
      expect(whole.length - seen).toBeLessThan(20);
    });
  });

  describe('the balance at an instant', () => {
    let id: string;
    let createdAt: string;
    let entries: { amount: string; side: string; created_at: string }[];

    beforeAll(async () => {
      const account = await api.open({ initial_balance: '100' });
      ({ id, created_at: createdAt } = account);
      for (let n = 1; n <= 20; n++) {
        await (n % 3 === 0 ? api.debit(id, `${n}`) : api.credit(id, `${n}`));
      }
      entries = (await api.entries(id, { limit: '100' })).data as unknown as typeof entries;
      entries.reverse();
    });

    const expected = (at: number) =>
      entries
        .filter((entry) => Date.parse(entry.created_at) <= at)
        .reduce((sum, { side, amount }) => sum + (side === 'debit' ? -1 : 1) * Number(amount), 0);
    const shift = (time: string, by: number) => new Date(Date.parse(time) + by).toISOString();

    test('exactly at each entry’s time, a millisecond before and after', async () => {
      for (const { created_at } of entries) {
        for (const by of [-1, 0, 1]) {
          const at = shift(created_at, by);
          expect(await api.balance(id, at), at).toBe(`${expected(Date.parse(at))}`);
        }
      }
    });

    test('before the account was there', async () => {
      expect(await api.balance(id, shift(createdAt, -1))).toBe('0');
      for (const at of ['1970-01-01', '0001-01-01']) {
        expect(await api.balance(id, at), at).toBe('0');
      }
    });

    test('in the future it is the balance of now, and as_of is as given', async () => {
      const now = await api.balance(id);
      for (const at of [shift(createdAt, 1e9), '9999-12-31', '9999-12-31T23:59:59.999Z']) {
        const answer = await api.call('getAccountBalance', { id, query: { at } });
        expect(answer.body).toEqual({ balance: now, as_of: at });
      }
    });

    test('with an offset, encoded or not', async () => {
      const { created_at } = entries[7]!;
      const balance = `${expected(Date.parse(created_at))}`;
      const east = `${shift(created_at, 2 * 3_600_000).slice(0, -1)}+02:00`;
      const west = `${shift(created_at, -5.5 * 3_600_000).slice(0, -1)}-05:30`;
      expect(await api.balance(id, east)).toBe(balance);
      expect(await api.balance(id, west)).toBe(balance);
      const bare = await api.send('GET', `/v1/customer-credits/accounts/${id}/balance?at=${east}`);
      expect(bare.body.balance).toBe(balance);
    });

    test('a date alone is its midnight in UTC', async () => {
      expect(await api.balance(id, createdAt.slice(0, 10))).toBe('0');
      const tomorrow = shift(createdAt, 86_400_000).slice(0, 10);
      expect(await api.balance(id, tomorrow)).toBe(await api.balance(id));
    });

    test('an account without entries', async () => {
      const empty = await api.open();
      expect(await api.balance(empty.id, empty.created_at)).toBe('0');
    });

    test.each([
      '',
      'now',
      '2026',
      '2026-13-01',
      '2026-02-30',
      '2026-04-01T00:00:00',
      '1775001600',
      '2026-04-01T25:00:00Z',
      '2026-04-01T00:00:00+99:00',
      '+275760-09-14',
      '-000001-01-01',
      '2026-04-01T00:00:00Z; drop table x',
      '\0',
      '2026-04-01 00:00:00Z',
      '0000-12-31',
      '0001-01-01T00:00:00+00:01',
      '9999-12-31T23:59:59-00:01',
    ])('%j is no instant', async (at) => {
      const answer = await api.call('getAccountBalance', { id, query: { at } });
      expectProblem(answer, 'validation_error', 'at');
    });
  });

  describe('listing by reference', () => {
    test('newest first, with reversals, and in pages if asked', async () => {
      const { id } = await api.open();
      const reference = uniqueName('order');
      const posted: string[] = [];
      for (let n = 0; n < 5; n++) {
        const credit = await api.credit(id, '1', uniqueName('key'), reference);
        posted.unshift(expectTransaction(credit).id);
      }
      const reversal = await api.call('reverseTransactionById', { id: posted[2]! });
      posted.unshift(expectTransaction(reversal).id);
      await api.credit(id, '1', uniqueName('key'), `${reference} `);
      const list = async (query: Record<string, string>) => {
        const answer = await api.call('listTransactionsByReference', {
          query: { reference, ...query },
        });
        return [answer.body.data.map((item: { id: string }) => item.id), answer.body.has_more];
      };
      expect(await list({})).toEqual([posted, false]);
      expect(await list({ limit: '4' })).toEqual([posted.slice(0, 4), true]);
      expect(await list({ limit: '2', starting_after: posted[3]! })).toEqual([
        posted.slice(4),
        false,
      ]);
      expect(await list({ limit: '2', ending_before: posted[4]! })).toEqual([
        posted.slice(2, 4),
        true,
      ]);
    });
  });

  test.each(['transactions', 'entries'])('nothing changes or removes %s', async (table) => {
    await api.open({ initial_balance: '5' });
    const { reader } = database.engine;
    for (const statement of [
      `update tallystick.${table} set created_at = now()`,
      // A statement that finds nothing is refused too; on Citus it must be sent to a machine.
      `update tallystick.${table} set created_at = now() where store_id = '${NOBODY}'`,
      `delete from tallystick.${table}`,
      `truncate tallystick.${table}`,
    ]) {
      await expect(reader.query(statement), statement).rejects.toThrow(/append-only/);
    }
    const { rows } = await reader.query(`select count(*)::int as n from tallystick.${table}`);
    expect(rows[0].n).toBeGreaterThan(0);
  });
});
