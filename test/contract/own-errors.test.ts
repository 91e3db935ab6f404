import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FUNDS_OPERATIONS } from '../../src/contract/funds-operations.js';
import { OPERATIONS } from '../../src/contract/operations.js';
import { WEBHOOK_OPERATIONS } from '../../src/contract/webhook-operations.js';
import { type ErrorCode, errorRow } from '../../src/core/errors.js';
import { OPEN_GRANTS_MAX, OPEN_HOLDS_MAX } from '../../src/core/funds/funds.js';
import { formatId, parseId } from '../../src/core/id.js';
import { ensureKey, generateKey } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { ENDPOINTS_MAX } from '../../src/webhooks/refusals.js';
import {
  Api,
  expectProblem,
  expectStatus,
  expectTransaction,
  type Sent,
  uniqueName,
} from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { countRows } from '../harness/verify.js';

/**
 * Every error code of every operation that Creem's API has not got, and of every operation of a
 * bulk request, each with the field that is blamed.
 */

let database: TestDatabase;
let server: TestServer;
let api: Api;

beforeAll(async () => {
  database = await PGLITE.create();
  server = await startServer(database.engine);
  api = new Api(server.url, server.key);
});
afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.close();
  await database.drop();
});

const MAX = '9'.repeat(38);
const none = (kind: 'account' | 'transaction' | 'hold' | 'grant' | 'webhook' | 'event') =>
  formatId(kind, newId());
const query = (sql: string, values: unknown[]) => database.engine.reader.query(sql, values);
const movement = (fields: object = {}) => ({
  amount: '1',
  reference: 'r',
  idempotency_key: uniqueName('key'),
  ...fields,
});
const keyed = (fields: object = {}) => ({ idempotency_key: uniqueName('key'), ...fields });

const open = async (initial_balance = '10') => (await api.open({ initial_balance })).id;
type State = 'freezeAccount' | 'closeAccount';
const inState = async (id: string, state: State) => {
  expectStatus(await api.call(state, { id }), 200);
  return id;
};
const usedKey = async () => {
  const key = uniqueName('key');
  expectTransaction(await api.credit(await open(), '1', key));
  return key;
};

/** A hold of five of an account's ten, which has met with something since. */
const held = async (since?: 'releaseHold' | State) => {
  const account = await open();
  const body = movement({ amount: '5' });
  const { id } = expectStatus(await api.call('createHold', { id: account, body }), 201);
  if (since === 'closeAccount') expectStatus(await api.call('releaseHold', { id }), 200);
  if (since === 'releaseHold') expectStatus(await api.call('releaseHold', { id }), 200);
  else if (since !== undefined) await inState(account, since);
  return id as string;
};
const captured = async () => {
  const id = await held();
  expectTransaction(await api.call('captureHold', { id, body: keyed() }));
  return id;
};

/** A grant of five beside nothing else, whose account has met with something since. */
const granted = async (since?: (account: string) => Promise<unknown>) => {
  const id = await open('0');
  const body = movement({ amount: '5', priority: 1 });
  expectTransaction(await api.call('creditAccount', { id, body }));
  await since?.(id);
  const { data } = expectStatus(await api.call('listGrants', { id }), 200);
  return data[0].id as string;
};
const used = (id: string) => api.debit(id, '5');

const credited = async (since?: (account: string) => Promise<unknown>, balance = '0') => {
  const id = await open(balance);
  const transaction = expectTransaction(await api.credit(id, '5')).id;
  await since?.(id);
  return transaction;
};
const reversal = async () => {
  const id = await credited();
  return expectTransaction(await api.call('reverseTransactionById', { id })).id;
};
const fullAgain = async () => {
  const id = await open(MAX);
  const transaction = expectTransaction(await api.debit(id, '5')).id;
  expectTransaction(await api.credit(id, '5'));
  return transaction;
};

const crowded = async (column: 'open_holds' | 'open_grants', count: number) => {
  const id = await open();
  const sql = `update tallystick.accounts set ${column} = $2 where account_id = $1`;
  await query(sql, [parseId('account', id)!, count]);
  return id;
};

const webhook = async (fields: object = { delivery_mode: 'cli' }, sent: Sent = {}) => {
  const answer = await api.call('createWebhook', { ...sent, body: fields });
  return expectStatus(answer, 200).id as string;
};
const posted = () => webhook({ url: 'https://1.1.1.1/hook' });
const sealed = async () => {
  const id = await webhook();
  const sql = 'update tallystick.webhook_endpoints set secret = $2 where endpoint_id = $1';
  await query(sql, [parseId('webhook', id)!, 'sealed:v1:00000000:AAAAAAAAAAAAAAAA:AAAA']);
  return id;
};
const liveKey = async () => {
  const key = generateKey('live');
  await ensureKey(database.engine.reader, key, { name: 'live', scopes: ['*'] });
  return key;
};

/** How to bring a refusal about, and the field that it blames, where it blames one. */
type Case<Made> = readonly [make: () => Promise<Made>, param: string | null];
type Cases<Made> = Partial<Record<ErrorCode, Case<Made>>>;

const on = (id: () => Promise<string>, sent: () => object = () => ({})) => {
  return async () => ({ id: await id(), ...sent() });
};
const withBody = (id: () => Promise<string>, body: () => object) =>
  on(id, () => ({ body: body() }));
const cursor = { starting_after: 'nonsense' };
const noWebhook = (body?: object): Case<Sent> => {
  return [async () => ({ id: none('webhook'), event: none('event'), body }), null];
};
const acknowledged = { status_code: 200 };
const span = { from: '2026-01-01T00:00:00Z' };

type OwnOperation = keyof typeof FUNDS_OPERATIONS | keyof typeof WEBHOOK_OPERATIONS;

const CASES: Record<Exclude<OwnOperation, 'batch'>, Cases<Sent>> = {
  createHold: {
    invalid_amount: [withBody(open, () => movement({ amount: '0' })), 'amount'],
    account_not_found: [withBody(async () => none('account'), movement), null],
    idempotency_key_mismatch: [
      async () => {
        const id = await open();
        const body = movement();
        expectStatus(await api.call('createHold', { id, body }), 201);
        return { id, body: { ...body, amount: '2' } };
      },
      'idempotency_key',
    ],
    account_closed: [withBody(async () => inState(await open(), 'closeAccount'), movement), null],
    account_frozen: [withBody(async () => inState(await open(), 'freezeAccount'), movement), null],
    insufficient_balance: [withBody(open, () => movement({ amount: '11' })), 'amount'],
    hold_limit_reached: [withBody(() => crowded('open_holds', OPEN_HOLDS_MAX), movement), null],
  },
  listHolds: {
    invalid_cursor: [on(open, () => ({ query: cursor })), 'starting_after'],
    account_not_found: [on(async () => none('account')), null],
  },
  getHold: { hold_not_found: [on(async () => none('hold')), null] },
  captureHold: {
    invalid_amount: [withBody(held, () => keyed({ amount: '-1' })), 'amount'],
    hold_not_found: [withBody(async () => none('hold'), keyed), null],
    idempotency_key_mismatch: [
      async () => ({ id: await held(), body: { idempotency_key: await usedKey() } }),
      'idempotency_key',
    ],
    account_closed: [withBody(() => held('closeAccount'), keyed), null],
    account_frozen: [withBody(() => held('freezeAccount'), keyed), null],
    hold_not_open: [withBody(() => held('releaseHold'), keyed), null],
    insufficient_balance: [withBody(held, () => keyed({ amount: '11' })), 'amount'],
  },
  releaseHold: {
    hold_not_found: [on(async () => none('hold')), null],
    hold_not_open: [on(captured), null],
  },
  extendHold: {
    hold_not_found: [
      withBody(
        async () => none('hold'),
        () => ({ expires_in: 60 }),
      ),
      null,
    ],
    hold_not_open: [withBody(captured, () => ({ expires_in: 60 })), null],
  },
  listGrants: {
    invalid_cursor: [
      on(open, () => ({ query: { ending_before: none('grant') } })),
      'ending_before',
    ],
    account_not_found: [on(async () => none('account')), null],
  },
  voidGrant: {
    grant_not_found: [on(async () => none('grant')), null],
    account_closed: [on(() => granted((id) => inState(id, 'closeAccount'))), null],
    grant_not_open: [on(() => granted(used)), null],
  },
  getClock: {},
  moveClock: {
    not_a_test_store: [async () => ({ key: await liveKey(), body: { advance: 1 } }), null],
  },
  resetClock: { not_a_test_store: [async () => ({ key: await liveKey() }), null] },
  listWebhooks: {},
  createWebhook: {
    invalid_webhook_url: [async () => ({ body: { url: 'https://10.0.0.1/hook' } }), 'url'],
    webhook_limit_reached: [
      async () => {
        const key = await server.addKey({ store: uniqueName('store') });
        const body = { delivery_mode: 'cli' };
        for (let made = 0; made < ENDPOINTS_MAX; made++) await webhook(body, { key });
        return { key, body };
      },
      null,
    ],
  },
  getWebhook: { webhook_not_found: noWebhook() },
  updateWebhook: {
    invalid_webhook_url: [withBody(posted, () => ({ url: 'https://10.0.0.1/hook' })), 'url'],
    webhook_not_found: noWebhook({ name: 'other' }),
  },
  deleteWebhook: { webhook_not_found: noWebhook() },
  getWebhookSecret: { webhook_not_found: noWebhook(), secret_unreadable: [on(sealed), null] },
  listPendingWebhookEvents: {
    webhook_not_found: noWebhook(),
    webhook_mode_mismatch: [on(posted), null],
    secret_unreadable: [on(sealed), null],
  },
  acknowledgeWebhookEvent: {
    webhook_not_found: noWebhook(acknowledged),
    event_not_found: [on(webhook, () => ({ event: none('event'), body: acknowledged })), null],
    webhook_mode_mismatch: [on(posted, () => ({ event: none('event'), body: acknowledged })), null],
  },
  rotateWebhookSecret: {
    webhook_not_found: noWebhook({}),
    secret_unreadable: [withBody(sealed, () => ({ overlap_seconds: 60 })), null],
  },
  sendWebhookTestEvent: {
    webhook_not_found: noWebhook({}),
    webhook_disabled: [
      async () => {
        const id = await webhook();
        expectStatus(await api.call('updateWebhook', { id, body: { status: 'disabled' } }), 200);
        return { id, body: {} };
      },
      null,
    ],
  },
  listWebhookDeliveries: {
    invalid_cursor: [on(posted, () => ({ query: cursor })), 'starting_after'],
    webhook_not_found: noWebhook(),
  },
  resendWebhookEvent: {
    webhook_not_found: noWebhook(),
    event_not_found: [on(posted, () => ({ event: none('event') })), null],
    webhook_mode_mismatch: [on(webhook, () => ({ event: none('event') })), null],
  },
  resendWebhookEvents: {
    webhook_not_found: noWebhook(span),
    webhook_mode_mismatch: [withBody(webhook, () => span), null],
  },
};

type Operation = { readonly op: string } & Record<string, unknown>;

const moved = (op: 'credit' | 'debit' | 'hold', account: () => Promise<string>, fields = {}) => {
  return async (): Promise<Operation> => ({ op, account_id: await account(), ...movement(fields) });
};
const lines = (...sides: [account: () => Promise<string>, side: string, amount: string][]) => {
  return async (): Promise<Operation> => {
    const entries = [];
    for (const [account, side, amount] of sides) {
      entries.push({ account_id: await account(), side, amount });
    }
    return { op: 'post', reference: 'r', ...keyed(), entries };
  };
};
const rich = async () => open();
const full = async () => open(MAX);
const closed = async () => inState(await open(), 'closeAccount');
const frozen = async () => inState(await open(), 'freezeAccount');
const nobody = async () => none('account');
const capturing = (hold: () => Promise<string>, fields = {}) => {
  return async (): Promise<Operation> => ({
    op: 'capture',
    hold_id: await hold(),
    ...keyed(fields),
  });
};
const releasing = (hold: () => Promise<string>) => {
  return async (): Promise<Operation> => ({ op: 'release', hold_id: await hold() });
};
const voiding = (grant: () => Promise<string>) => {
  return async (): Promise<Operation> => ({ op: 'void', grant_id: await grant() });
};
const reversing = (original: () => Promise<string>) => {
  return async (): Promise<Operation> => ({ op: 'reverse', transaction_id: await original() });
};
const withUsedKey = (make: () => Promise<Operation>) => async (): Promise<Operation> => ({
  ...(await make()),
  idempotency_key: await usedKey(),
});
const PAST = '2000-01-01T00:00:00Z';

/** By the operation and its code. */
const BULK: Record<string, Cases<Operation>> = {
  credit: {
    invalid_amount: [moved('credit', rich, { amount: '0' }), 'amount'],
    account_not_found: [moved('credit', nobody), null],
    idempotency_key_mismatch: [withUsedKey(moved('credit', rich)), 'idempotency_key'],
    account_closed: [moved('credit', closed), null],
    account_frozen: [moved('credit', frozen), null],
    balance_limit_exceeded: [moved('credit', full), 'amount'],
    grant_limit_reached: [
      moved('credit', () => crowded('open_grants', OPEN_GRANTS_MAX), { priority: 1 }),
      null,
    ],
    validation_error: [moved('credit', rich, { expires_at: PAST }), 'expires_at'],
  },
  debit: { insufficient_balance: [moved('debit', rich, { amount: '11' }), 'amount'] },
  post: {
    invalid_amount: [lines([rich, 'debit', '1'], [rich, 'credit', '01']), 'entries[1].amount'],
    account_not_found: [
      lines([rich, 'debit', '1'], [nobody, 'credit', '1']),
      'entries[1].account_id',
    ],
    unbalanced_transaction: [lines([rich, 'debit', '1'], [rich, 'credit', '2']), 'entries'],
    insufficient_balance: [
      lines([rich, 'credit', '11'], [rich, 'debit', '11']),
      'entries[1].amount',
    ],
    balance_limit_exceeded: [
      lines([rich, 'debit', '1'], [full, 'credit', '1']),
      'entries[1].amount',
    ],
  },
  hold: {
    insufficient_balance: [moved('hold', rich, { amount: '11' }), 'amount'],
    hold_limit_reached: [moved('hold', () => crowded('open_holds', OPEN_HOLDS_MAX)), null],
  },
  capture: {
    hold_not_found: [capturing(async () => none('hold')), null],
    hold_not_open: [capturing(() => held('releaseHold')), null],
    insufficient_balance: [capturing(held, { amount: '11' }), 'amount'],
  },
  release: {
    hold_not_found: [releasing(async () => 'nonsense'), 'hold_id'],
    hold_not_open: [releasing(captured), null],
  },
  void: {
    grant_not_found: [voiding(async () => 'nonsense'), 'grant_id'],
    grant_not_open: [voiding(() => granted(used)), null],
  },
  reverse: {
    transaction_not_found: [reversing(async () => none('transaction')), 'transaction_id'],
    transaction_not_reversible: [reversing(reversal), 'transaction_id'],
    insufficient_balance: [reversing(() => credited(used)), 'transaction_id'],
    balance_limit_exceeded: [reversing(fullAgain), 'transaction_id'],
  },
};

const NAMES = Object.keys(CASES) as (keyof typeof CASES)[];
const rowsOf = <Made, Name extends string>(table: Record<Name, Cases<Made>>) =>
  (Object.keys(table) as Name[]).flatMap((name) =>
    (Object.keys(table[name]) as ErrorCode[]).map((code) => [name, code] as const),
  );

/** A race of two rotations, which its own test brings about; any operation can be overloaded. */
const ELSEWHERE: readonly string[] = ['overloaded'];

test('the tables of cases have every code of every operation, and no other', () => {
  for (const name of NAMES) {
    const codes = OPERATIONS[name].errors.filter((code) => !ELSEWHERE.includes(code));
    expect(Object.keys(CASES[name]).sort(), name).toEqual(codes.sort());
  }
  const own = [...Object.keys(FUNDS_OPERATIONS), ...Object.keys(WEBHOOK_OPERATIONS)];
  expect(['batch', ...NAMES].sort()).toEqual(own.sort());
  const inBulk = new Set(rowsOf(BULK).map(([, code]) => code));
  inBulk.delete('validation_error');
  expect([...inBulk].sort()).toEqual([...OPERATIONS.batch.errors].sort());
});

test.each(rowsOf(CASES))('%s can answer %s', async (name, code) => {
  const [make, param] = CASES[name][code]!;
  const sent = await make();
  const before = await countRows(database.engine.reader);
  expectProblem(await api.call(name, sent), code, param);
  expect(await countRows(database.engine.reader)).toBe(before);
});

describe('in bulk', () => {
  test.each(rowsOf(BULK))('%s can answer %s', async (op, code) => {
    const [make, param] = BULK[op]![code]!;
    const first = { op: 'credit', account_id: await open(), ...movement() };
    const operations = [first, await make()];
    const atomic = await api.call('batch', { body: { atomic: true, operations } });
    const place = param === null ? 'operations[1]' : `operations[1].${param}`;
    expectProblem(atomic, code, place);
    const { results } = expectStatus(await api.call('batch', { body: { operations } }), 200);
    const { status } = errorRow(code);
    expect(results).toMatchObject([{ status: 201 }, { status, error: { code, param } }]);
  });
});
