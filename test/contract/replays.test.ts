import { afterAll, beforeAll, expect, test } from 'vitest';
import { captureCommand, debitCommand, postCommand } from '../../src/ledger/commands.js';
import { Ledger, parseId } from '../../src/ledger/index.js';
import { Api, expectProblem, expectStatus, expectTransaction, uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** Metadata is part of a request, and the order of its names is not. */

const SENT = { b: '2', a: '1', '10': 'ten' };
const TURNED = { '10': 'ten', a: '1', b: '2' };
const OTHER = { ...TURNED, b: '3' };

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  let id: string;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    ({ id } = await api.open({ initial_balance: '1000' }));
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    await database.drop();
  });

  const key = () => ({ idempotency_key: uniqueName('key') });
  const movement = () => ({ amount: '1', reference: 'r', ...key() });

  test('the same metadata in another order is a replay, and other metadata is not', async () => {
    const { id: other } = await api.open();
    const hold = expectStatus(await api.call('createHold', { id, body: movement() }), 201).id;
    const entries = [
      { account_id: id, side: 'debit', amount: '1' },
      { account_id: other, side: 'credit', amount: '1' },
    ];
    const requests = [
      ['creditAccount', { id, body: movement() }],
      ['creditAccount', { id, body: { ...movement(), expires_at: '2999-01-01T00:00:00Z' } }],
      ['debitAccount', { id, body: movement() }],
      ['postTransaction', { body: { reference: 'r', ...key(), entries } }],
      ['captureHold', { id: hold, body: key() }],
    ] as const;
    for (const [name, { body, ...sent }] of requests) {
      const send = (metadata: object) => api.call(name, { ...sent, body: { ...body, metadata } });
      const first = await send(SENT);
      expect(expectTransaction(first).metadata).toEqual(TURNED);
      const again = await send(TURNED);
      expect(expectTransaction(again), name).toEqual(first.body);
      expect(again.headers.get('x-idempotent-replay')).toBe('true');
      expectProblem(await send(OTHER), 'idempotency_key_mismatch', 'idempotency_key');
    }
  });

  test('in one bulk request as well', async () => {
    const debit = { op: 'debit', account_id: id, ...movement() };
    const operations = [SENT, TURNED, OTHER].map((metadata) => ({ ...debit, metadata }));
    const { results } = expectStatus(await api.call('batch', { body: { operations } }), 200);
    expect(results[1]).toEqual({ ...results[0], replayed: true });
    expect(results[2].error.code).toBe('idempotency_key_mismatch');
  });

  test('what was stored under the fingerprint of before is a replay of what was sent', async () => {
    const ledger = new Ledger(database.engine);
    const accountId = parseId('account', id)!;
    const hold = expectStatus(await api.call('createHold', { id, body: movement() }), 201).id;
    const { id: other } = await api.open();
    const fields = { accountId, amount: 1n, reference: 'r', metadata: SENT };
    const postings = [
      { accountId, amount: -1n },
      { accountId: parseId('account', other)!, amount: 1n },
    ];
    const captured = { holdId: parseId('hold', hold)!, amount: 1n, overage: 'refuse' } as const;
    const make = [
      (metadata: typeof SENT) => debitCommand({ ...fields, metadata, key: 'of before: debit' }),
      (metadata: typeof SENT) =>
        postCommand({ postings, reference: 'r', metadata, key: 'of before: post' }),
      (metadata: typeof SENT) =>
        captureCommand({ ...captured, final: true, metadata, key: 'of before: capture' }),
    ];
    for (const of of make) {
      const { formerFingerprint, ...command } = of(SENT);
      const before = { ...command, fingerprint: formerFingerprint! };
      const first = await ledger.execute(server.store, before);
      expect(first).toMatchObject({ kind: 'transaction', replayed: false });
      expect(await ledger.execute(server.store, of(SENT))).toEqual({ ...first, replayed: true });
      const refused = await ledger.execute(server.store, of(OTHER));
      expect(refused).toMatchObject({ refusal: { code: 'idempotency_key_mismatch' } });
    }
  });
});
