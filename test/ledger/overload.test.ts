import { afterAll, beforeAll, expect, test } from 'vitest';
import { reverseCommand } from '../../src/ledger/commands.js';
import { KeyRing } from '../../src/ledger/index.js';
import { QUEUE_MAX, STORE_QUEUE_MAX } from '../../src/ledger/write/batcher.js';
import type { Engine } from '../../src/store/engine/db.js';
import { newId } from '../../src/store/ids.js';
import { Api, expectProblem, expectTransaction } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { expectSound } from '../harness/verify.js';

/** The queue is bounded: past its end callers are told to come back, and nothing is lost. */

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let gate: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    database = await engine.create();
    const gated: Engine = {
      ...database.engine,
      onLane: (work) => gate.then(() => database.engine.onLane(work)),
    };
    server = await startServer(gated);
    api = new Api(server.url, server.key);
  });
  afterAll(async () => {
    await server.close();
    await expectSound(database.engine.reader);
    await database.drop();
  });

  test('past the queue’s end: 503 overloaded, then as before', async () => {
    const { ledger, store } = server;
    const { id } = await api.open();
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const reverse = () => ledger.execute(store, reverseCommand(newId()));
    // The store's one batch in flight takes the first; what comes after waits behind the gate.
    const held = [reverse()];
    while (ledger.waiting > 0) await new Promise((resolve) => setImmediate(resolve));
    for (let n = 0; n < STORE_QUEUE_MAX; n++) held.push(reverse());
    expect(ledger.waiting).toBe(STORE_QUEUE_MAX);
    const refused = await Promise.all([
      api.credit(id, '1', 'overloaded key'),
      api.call('freezeAccount', { id }),
      api.call('createAccount', { body: { customer_id: 'c' } }),
    ]);
    for (const answer of refused) {
      expectProblem(answer, 'overloaded');
      expect(answer.headers.get('retry-after')).toBe('1');
    }
    // A store's share is full, and others have room until the whole queue is.
    const key = await server.addKey({ store: 'another store' });
    const { store: other } = (await new KeyRing(database.engine.keys).authenticate(key))!;
    const room = QUEUE_MAX - STORE_QUEUE_MAX;
    for (let n = 0; n < room; n++) held.push(ledger.execute(other, reverseCommand(newId())));
    expect(ledger.waiting).toBe(QUEUE_MAX);
    expect(await ledger.execute(other, reverseCommand(newId()))).toMatchObject({
      refusal: { code: 'overloaded' },
    });
    // Reads wait for nobody.
    expect(await api.balance(id)).toBe('0');
    open();
    const outcomes = await Promise.all(held);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ refusal: { code: 'transaction_not_found' } });
    }
    expect(ledger.waiting).toBe(0);
    expectTransaction(await api.credit(id, '1', 'overloaded key'));
    expect(await api.balance(id)).toBe('1');
  });
});
