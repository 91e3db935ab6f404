import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureKey, Ledger, listStores, type Store } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { readDelivery } from '../../src/store/webhooks/deliveries.js';
import { giveLease, renewLease, takeLease } from '../../src/store/webhooks/leases.js';
import {
  type Attempted,
  addToOutbox,
  readDue,
  settleDue,
  settleFresh,
} from '../../src/store/webhooks/outbox.js';
import { ENDPOINTS_MAX } from '../../src/webhooks/refusals.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';

/** What several do to webhooks at once comes to what one after the other would do. */

onEngines(({ name, create }) => {
  let database: TestDatabase;
  let ledgers: Ledger[];
  let store: Store;

  beforeAll(async () => {
    database = await create();
    const { engine } = database;
    await ensureKey(engine.reader, 'tally_test_webhook_races_0001', { name: 'a', scopes: ['*'] });
    store = (await listStores(engine.reader)).find(({ mode }) => mode === 'test')!;
    const other = name === 'PGlite' ? engine : await database.another();
    ledgers = [new Ledger(engine), new Ledger(other)];
  });
  afterAll(() => database.drop());

  const subscribe = (ledger: Ledger) =>
    ledger.webhooks.create(store, {
      name: null,
      url: undefined,
      deliveryMode: 'cli',
      events: [],
      signature: 'creem',
    });

  test('changes of different fields are all kept', async () => {
    const [a, b] = ledgers as [Ledger, Ledger];
    const { id } = (await subscribe(a)).endpoint;
    for (let round = 0; round < 40; round++) {
      const [first, second] = round % 2 === 0 ? [a, b] : [b, a];
      const changed = {
        name: `round ${round}`,
        status: round % 2 === 0 ? 'disabled' : 'enabled',
        events: round % 3 === 0 ? ['account.frozen'] : [],
        signature: round % 2 === 0 ? 'both' : 'standard',
      } as const;
      await Promise.all([
        first.webhooks.update(store, id, { name: changed.name }),
        second.webhooks.update(store, id, { status: changed.status }),
        first.webhooks.update(store, id, { events: changed.events }),
        second.webhooks.update(store, id, { signature: changed.signature }),
      ]);
      expect(await a.webhooks.get(store, id)).toMatchObject(changed);
    }
    await a.webhooks.delete(store, id);
  });

  test('no more endpoints are created than a store can have', async () => {
    const wanted = Array.from({ length: 2 * ENDPOINTS_MAX }, (_, n) => subscribe(ledgers[n % 2]!));
    const made = await Promise.allSettled(wanted);
    const refused = made.filter((each) => each.status === 'rejected');
    expect(refused).toHaveLength(ENDPOINTS_MAX);
    for (const { reason } of refused) {
      expect(reason.refusal.code).toBe('webhook_limit_reached');
    }
    const all = await ledgers[0]!.webhooks.list(store);
    expect(all).toHaveLength(ENDPOINTS_MAX);
    // The last place is contended by itself, where nothing but the lock orders the two.
    for (let round = 0; round < 20; round++) {
      const [newest] = await ledgers[0]!.webhooks.list(store);
      await ledgers[0]!.webhooks.delete(store, newest!.id);
      await Promise.allSettled(ledgers.map(subscribe));
      expect(await ledgers[0]!.webhooks.list(store)).toHaveLength(ENDPOINTS_MAX);
    }
  });

  test('an attempt that is noted late undoes none that another server has noted since', async () => {
    const ledger = ledgers[0]!;
    const { reader } = ledger.engine;
    const [endpoint] = await ledger.webhooks.list(store);
    const place = [reader, store.id, endpoint!.id] as const;
    const eventId = newId();
    await addToOutbox(reader, store.id, {
      endpointId: endpoint!.id,
      eventId,
      type: 'account.frozen',
      accountId: newId(),
      seq: 1,
      body: '{}',
    });
    const attempt = { at: 'now', latency_ms: 1, response_status: 500, error: null };
    const came = (tries: number, status: Attempted['status'] = 'retrying'): Attempted[] => {
      return [{ eventId, status, tries, attempt, delay: status === 'retrying' ? 0 : null }];
    };
    await settleFresh(...place, came(1));
    await settleDue(...place, came(2));
    await settleDue(...place, came(3));
    // By a server that was stopped after its second attempt, and goes on now.
    await settleDue(...place, came(2));
    expect((await readDue(...place, 9)).map(({ tries }) => tries)).toEqual([3]);
    expect((await readDelivery(...place, eventId))?.attempts).toHaveLength(3);
    // That an event has arrived is true, whoever learns it late.
    await settleDue(...place, came(2, 'delivered'));
    expect((await readDelivery(...place, eventId))?.status).toBe('delivered');
    await settleDue(...place, came(4));
    expect((await readDelivery(...place, eventId))?.status).toBe('delivered');
  });

  test('a lease that another had meanwhile is lost, also where it is free again', async () => {
    const ledger = ledgers[0]!;
    const { reader } = ledger.engine;
    const [endpoint] = await ledger.webhooks.list(store);
    await reader.query(
      `update tallystick.webhook_endpoints set delivery_mode = 'http', url = 'https://a.example/'
        where endpoint_id = $1`,
      [endpoint!.id],
    );
    const place = [reader, store.id, endpoint!.id] as const;
    const [stopped, other] = [newId(), newId()];
    // It is over at once, and as long as nobody has taken it its holder misses nothing.
    expect(await takeLease(...place, stopped, -1_000)).toBeDefined();
    expect(await renewLease(...place, stopped, -1_000)).toBeDefined();
    expect(await takeLease(...place, other, 60_000)).toBeDefined();
    expect(await renewLease(...place, stopped, 60_000)).toBeUndefined();
    await giveLease(...place, stopped);
    expect(await renewLease(...place, other, 60_000)).toBeDefined();
    await giveLease(...place, other);
    expect(await renewLease(...place, stopped, 60_000)).toBeUndefined();
    expect(await takeLease(...place, stopped, 60_000)).toBeDefined();
  });
});
