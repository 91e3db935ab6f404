import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OWN_EVENTS } from '../../src/core/events/names.js';
import {
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  type Terms,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/** What events tell of a balance is what a read of it said at that instant. */

const T0 = Date.UTC(2100, 0, 1);
const HOUR = 3_600_000;

onEngines((engine) => {
  describe('the balances that events tell', () => {
    let database: TestDatabase;
    let ledger: Ledger;
    let store: Store;

    beforeAll(async () => {
      database = await engine.create({ lanes: 1 });
      ledger = new Ledger(database.engine);
      store = await createStore(database.engine);
      const events = [...OWN_EVENTS, 'credits.granted', 'credits.consumed'];
      const fields = { name: null, url: undefined, deliveryMode: 'cli' as const };
      await ledger.webhooks.create(store, { ...fields, events, signature: 'creem' });
    });
    afterAll(() => database.drop());

    async function open(initialBalance: bigint): Promise<string> {
      await ledger.setClock(store, T0);
      const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance };
      const opened = await ledger.execute(store, openCommand(fields));
      if (opened.kind !== 'account') throw new Error(opened.kind);
      return opened.account.id;
    }

    const of = (accountId: string, amount: bigint, terms?: Terms) => {
      return { accountId, amount, reference: 'r', key: newId(), terms };
    };
    const debit = (accountId: string, amount: bigint) =>
      ledger.execute(store, debitCommand(of(accountId, amount)));
    const credit = (accountId: string, amount: bigint, terms?: Terms) =>
      ledger.execute(store, creditCommand(of(accountId, amount, terms)));
    const hold = (accountId: string, amount: bigint) =>
      ledger.execute(store, holdCommand({ ...of(accountId, amount), expiresInMs: HOUR }));

    /** The kind, the balance and what was available, of each event of an account, in order. */
    async function told(accountId: string): Promise<string[]> {
      const { rows } = await database.engine.reader.query(
        `select body from tallystick.outbox where store_id = $1 and account_id = $2
          order by event_id`,
        [store.id, accountId],
      );
      return rows.map(({ body }) => {
        const { eventType, object } = JSON.parse(body);
        const balance = object.balance_after_minor_units ?? object.balance_minor_units;
        const available = object.available_after_minor_units ?? object.available_minor_units;
        return `${eventType.split('.')[1]} ${balance} ${available}`;
      });
    }

    test('leave out what is still to come, and say what is not held', async () => {
      const id = await open(5n);
      await credit(id, 1_000n, { effectiveAt: T0 + HOUR });
      const { position } = await ledger.funds.position(store, id);
      expect(position).toMatchObject({ balance: 5n, available: 5n });
      await hold(id, 2n);
      await debit(id, 1n);
      await ledger.setClock(store, T0 + HOUR - 1);
      await debit(id, 1n);
      await ledger.setClock(store, T0 + HOUR);
      await debit(id, 1n);
      expect(await told(id)).toEqual([
        'granted 5 5',
        'granted 5 5',
        'consumed 4 2',
        'consumed 3 1',
        'consumed 1002 1002',
      ]);
    });

    test('are those between the movements of one batch', async () => {
      const id = await open(5n);
      await credit(id, 10n, { expiresAt: T0 + 10 });
      await credit(id, 100n, { effectiveAt: T0 + 20 });
      await credit(id, 3n, { expiresAt: T0 + 30 });
      await credit(id, 7_000n, { effectiveAt: T0 + 99 });
      await ledger.setClock(store, T0 + 40);
      const commands = [1n, 2n].map((amount) => debitCommand(of(id, amount)));
      await ledger.executeAll(store, commands, true);
      expect((await told(id)).slice(-4)).toEqual([
        'expired 8 8',
        'expired 105 105',
        'consumed 104 104',
        'consumed 102 102',
      ]);
    });

    test('know of a hold that ended between two of them', async () => {
      const id = await open(9n);
      await credit(id, 10n, { expiresAt: T0 + 10 });
      await credit(id, 1n, { expiresAt: T0 + 2 * HOUR });
      await hold(id, 4n);
      await ledger.setClock(store, T0 + 3 * HOUR);
      await debit(id, 1n);
      expect((await told(id)).slice(-4)).toEqual([
        'expired 14 10',
        'expired 10 10',
        'expired 9 9',
        'consumed 8 8',
      ]);
    });

    test('are told with a change of status too, and of a closed account nothing can be taken', async () => {
      const id = await open(9n);
      await credit(id, 50n, { effectiveAt: T0 + 10 });
      await ledger.execute(store, { kind: 'freeze', accountId: id });
      await ledger.setClock(store, T0 + 10);
      await ledger.execute(store, { kind: 'unfreeze', accountId: id });
      await ledger.execute(store, { kind: 'close', accountId: id });
      expect((await told(id)).slice(-3)).toEqual(['frozen 9 9', 'unfrozen 59 59', 'closed 59 0']);
    });
  });
});
