import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store, sweepStore, verifyLedger } from '../../src/ledger/index.js';
import { SETTLED_MAX } from '../../src/ledger/write/load-funds.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';
import { watched } from '../harness/watched.js';

/** What falls due all at once is booked in parts, and its history is that of one by one. */

const T0 = Date.UTC(2100, 0, 1);
const GRANTS = SETTLED_MAX + 700;
/** So many grants end at one instant, across the place where a part would end. */
const TOGETHER = 500;
const CHUNK = 500;

onEngines((engine) => {
  describe('an account on which much has fallen due', () => {
    let database: TestDatabase;
    let ledger: Ledger;
    let store: Store;
    const sent: string[] = [];

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
      ledger = new Ledger(watched(database.engine, sent));
      store = await createStore(database.engine);
    });
    afterAll(async () => {
      await expectSound(database.engine.reader);
      expect((await verifyLedger(database.engine)).differences).toEqual([]);
      await database.drop();
    });

    /** The instant at which a grant ends: one after the other, but for those that end together. */
    const endOf = (n: number) => {
      const together = SETTLED_MAX - TOGETHER / 2;
      return T0 + 10 + (n < together ? n : Math.max(together, n - TOGETHER));
    };

    async function fill(): Promise<string> {
      await ledger.setClock(store, T0);
      const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance: 5n };
      const opened = await ledger.execute(store, openCommand(fields));
      if (opened.kind !== 'account') throw new Error(opened.kind);
      const accountId = opened.account.id;
      const credits = Array.from({ length: GRANTS }, (_, n) =>
        creditCommand({
          accountId,
          amount: 1n,
          reference: 'r',
          key: newId(),
          terms: { expiresAt: endOf(n) },
        }),
      );
      for (let start = 0; start < GRANTS; start += CHUNK) {
        await ledger.executeAll(store, credits.slice(start, start + CHUNK), true);
      }
      // It keeps the first three until long after the others have ended.
      const held = { accountId, amount: 3n, reference: 'r', key: newId(), expiresInMs: 5_000 };
      await ledger.execute(store, holdCommand(held));
      await ledger.setClock(store, T0 + 10_000);
      sent.length = 0;
      return accountId;
    }

    const commits = () => sent.filter((text) => text === 'commit').length;

    async function historyOf(accountId: string): Promise<[amount: number, at: number][]> {
      const { rows } = await database.engine.reader.query(
        `select amount::int as amount, (date_part('epoch', created_at) * 1000)::bigint::text as at
          from tallystick.entries where store_id = $1 and account_id = $2 and amount < 0
          order by seq`,
        [store.id, accountId],
      );
      return rows.map(({ amount, at }) => [amount, Number(at)]);
    }

    /** What the grants come to, one instant after the other. */
    function expected(): [amount: number, at: number][] {
      const ends = new Map<number, number>();
      for (let n = 3; n < GRANTS; n++) ends.set(endOf(n), (ends.get(endOf(n)) ?? 0) - 1);
      return [...[...ends].map(([at, amount]): [number, number] => [amount, at]), [-3, T0 + 5_000]];
    }

    test('is settled in parts before a debit, none of which tears an instant', async () => {
      const accountId = await fill();
      const debit = { accountId, amount: 5n, reference: 'r', key: newId() };
      expect((await ledger.execute(store, debitCommand(debit))).kind).toBe('transaction');
      expect(commits()).toBe(2);
      expect(await historyOf(accountId)).toEqual([...expected(), [-5, T0 + 10_000]]);
    });

    test('is settled by the sweep, which tells of all parts', async () => {
      const accountId = await fill();
      const { transactions, holdsExpired } = await sweepStore(ledger, store);
      expect(commits()).toBe(2);
      expect(holdsExpired).toBe(1);
      expect(transactions).toHaveLength(expected().length);
      expect(await historyOf(accountId)).toEqual(expected());
    });
  });
});
