import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import { formatId } from '../../src/core/id.js';
import type { Engine } from '../../src/store/engine/db.js';
import { newId } from '../../src/store/ids.js';
import {
  type Answer,
  Api,
  CREDIT_OPERATIONS,
  checkProblem,
  expectProblem,
  type Sent,
} from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** What callers are told when the database is away, or when something else goes wrong inside. */

let database: TestDatabase;
let server: TestServer;
let api: Api;
let fault: Error | undefined;

beforeAll(async () => {
  database = await PGLITE.create();
  const { engine } = database;
  const fails = <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) => {
    return (...args: Args) => (fault === undefined ? work(...args) : Promise.reject(fault));
  };
  const failing: Engine = {
    ...engine,
    reader: { query: fails((text, values) => engine.reader.query(text, values)) },
    onLane: fails(engine.onLane) as Engine['onLane'],
  };
  server = await startServer(failing);
  api = new Api(server.url, server.key);
});
afterAll(async () => {
  fault = undefined;
  await server.close();
  await database.drop();
});

const NAMES = CREDIT_OPERATIONS;
const id = formatId('account', newId());
const other = formatId('account', newId());
const movement = { amount: '1', reference: 'r', idempotency_key: 'k' };
const side = (account_id: string, name: string) => ({ account_id, side: name, amount: '1' });
const BODIES: Partial<Record<OperationName, object>> = {
  createAccount: { customer_id: 'c' },
  creditAccount: movement,
  debitAccount: movement,
  reverseTransaction: { transaction_id: formatId('transaction', newId()) },
  postTransaction: {
    reference: 'r',
    idempotency_key: 'k',
    entries: [side(id, 'debit'), side(other, 'credit')],
  },
};
const right = (name: OperationName): Sent => ({
  id:
    name.includes('Transaction') && name !== 'reverseTransaction'
      ? formatId('transaction', newId())
      : id,
  ...(name === 'listTransactionsByReference' ? { query: { reference: 'r' } } : {}),
  ...(name in BODIES ? { body: BODIES[name] } : {}),
});

async function callAll(error: Error): Promise<[OperationName, Answer][]> {
  fault = undefined;
  await api.call('listAccounts');
  fault = error;
  return Promise.all(
    NAMES.map(async (name): Promise<[OperationName, Answer]> => {
      const row = OPERATIONS[name];
      const sent = right(name);
      const path = row.path.replace(':id', sent.id!);
      return [name, await api.send(row.method.toUpperCase(), path, sent)];
    }),
  );
}

const SECRET = 'postgres://user:secret@db/tallystick';

test.each([
  ['refuses connections', { code: 'ECONNREFUSED' }],
  ['is shutting down', { code: '57P01' }],
  ['has no connection free', { code: '53300' }],
])('the database %s: 503 with Retry-After from every operation', async (_, code) => {
  for (const [name, answer] of await callAll(Object.assign(new Error(SECRET), code))) {
    const { error } = checkProblem(answer);
    expect(error.code, name).toBe('unavailable');
    expect(error.param, name).toBeNull();
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  }
});

test('anything else: 500 in the envelope, with the cause in the log alone', async () => {
  const logged = server.errors.length;
  for (const [name, answer] of await callAll(new Error(SECRET))) {
    const { code, param } = checkProblem(answer).error;
    expect({ code, param }, name).toEqual({ code: 'internal_error', param: null });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  }
  expect(server.errors.length).toBe(logged + NAMES.length);
});

test('once the database is back, it serves as before', async () => {
  fault = undefined;
  expect((await api.call('listAccounts')).status).toBe(200);
  await api.open();
});

test('readiness follows the database, and liveness does not', async () => {
  fault = Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' });
  const away = await api.send('GET', '/readyz');
  expect(away.status).toBe(503);
  expect(away.headers.get('retry-after')).toBe('1');
  expect((await api.send('GET', '/livez')).status).toBe(200);
  fault = undefined;
  expect((await api.send('GET', '/readyz')).status).toBe(200);
});

test('a key that cannot be looked up is not an unknown key', async () => {
  const key = await server.addKey();
  fault = Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' });
  expectProblem(await api.call('listAccounts', { key }), 'unavailable');
  fault = undefined;
});
