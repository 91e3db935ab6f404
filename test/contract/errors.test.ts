import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import type { ErrorCode } from '../../src/core/errors.js';
import { OPEN_GRANTS_MAX } from '../../src/core/funds/funds.js';
import { formatId, parseId } from '../../src/core/id.js';
import { SCOPES } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import {
  Api,
  CREDIT_OPERATIONS,
  type CreditOperation,
  expectProblem,
  expectStatus,
  expectTransaction,
  type Sent,
  uniqueName,
} from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { countRows, expectSound } from '../harness/verify.js';

/** Every error code of every operation, each brought about by a request over a real socket. */

type Case = () => Promise<Sent>;

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
  await expectSound(database.engine.reader);
  await database.drop();
});

const MAX = '9'.repeat(38);
const noAccount = () => formatId('account', newId());
const noTransaction = () => formatId('transaction', newId());
const movement = (fields: object = {}) => ({
  amount: '1',
  reference: 'r',
  idempotency_key: uniqueName('key'),
  ...fields,
});
const lines = (...entries: [id: string, side: string, amount: string][]) => ({
  reference: 'r',
  idempotency_key: uniqueName('key'),
  entries: entries.map(([account_id, side, amount]) => ({ account_id, side, amount })),
});

const open = async (initial_balance = '10') => (await api.open({ initial_balance })).id;
const opened =
  (state?: 'freezeAccount' | 'closeAccount', balance = '10') =>
  async () => {
    const id = await open(balance);
    if (state !== undefined) await api.call(state, { id });
    return id;
  };

/** An operation on one account, with a body that is right. */
const onAccount = (account: () => Promise<string>, body?: () => object): Case => {
  return async () => ({ id: await account(), ...(body === undefined ? {} : { body: body() }) });
};

const usedKey = async () => {
  const id = await open();
  const idempotency_key = uniqueName('key');
  await api.credit(id, '1', idempotency_key);
  return { id, body: movement({ amount: '2', idempotency_key }) };
};

/** Cases of a credit or a debit. */
const moving = {
  invalid_amount: onAccount(opened(), () => movement({ amount: '0' })),
  account_not_found: async () => ({ id: noAccount(), body: movement() }),
  idempotency_key_mismatch: usedKey,
  account_closed: onAccount(opened('closeAccount'), movement),
  account_frozen: onAccount(opened('freezeAccount'), movement),
} satisfies Partial<Record<ErrorCode, Case>>;

const posting = (account: () => Promise<string>, side = 'debit', amount = '1'): Case => {
  return async () => {
    const other = await open();
    const otherSide = side === 'debit' ? 'credit' : 'debit';
    return { body: lines([await account(), side, amount], [other, otherSide, amount]) };
  };
};

/** Cases of a reversal, given how the operation names the transaction. */
const reversing = (name: (account: string, transaction: string) => Sent) => {
  const after =
    (prepare: (id: string) => Promise<string>, balance = '10'): Case =>
    async () => {
      const id = await open(balance);
      return name(id, await prepare(id));
    };
  const credited = async (id: string) => expectTransaction(await api.credit(id, '5')).id;
  return {
    transaction_not_found: after(async () => noTransaction()),
    transaction_not_reversible: after(async (id) => {
      const original = await credited(id);
      const reversal = await api.call('reverseTransactionById', { id: original });
      return expectTransaction(reversal).id;
    }),
    account_closed: after(async (id) => {
      const original = await credited(id);
      await api.call('closeAccount', { id });
      return original;
    }),
    account_frozen: after(async (id) => {
      const original = await credited(id);
      await api.call('freezeAccount', { id });
      return original;
    }),
    insufficient_balance: after(async (id) => {
      const original = await credited(id);
      await api.debit(id, '14');
      return original;
    }),
    balance_limit_exceeded: after(async (id) => {
      const original = expectTransaction(await api.debit(id, '5')).id;
      await api.credit(id, '5');
      return original;
    }, MAX),
  } satisfies Partial<Record<ErrorCode, Case>>;
};

const cursor = (starting_after: string): Case => {
  return async () => ({ id: await open(), query: { starting_after } });
};

const CASES: Record<CreditOperation, Partial<Record<ErrorCode, Case>>> = {
  createAccount: {
    invalid_amount: async () => ({ body: { customer_id: 'c', initial_balance: '-1' } }),
    account_name_taken: async () => {
      const { customer_id } = await api.open({ name: 'Gold' });
      return { body: { customer_id, name: ' gOLD ' } };
    },
  },
  listAccounts: {
    invalid_cursor: async () => ({ query: { ending_before: noAccount() } }),
  },
  getAccount: { account_not_found: async () => ({ id: noAccount() }) },
  getAccountBalance: { account_not_found: async () => ({ id: noAccount() }) },
  listEntries: {
    invalid_cursor: cursor('cce_nonsense'),
    account_not_found: async () => ({ id: noAccount() }),
  },
  freezeAccount: {
    account_not_found: async () => ({ id: noAccount() }),
    account_closed: onAccount(opened('closeAccount')),
    account_frozen: onAccount(opened('freezeAccount')),
  },
  unfreezeAccount: {
    account_not_found: async () => ({ id: noAccount() }),
    account_closed: onAccount(opened('closeAccount')),
    account_not_frozen: onAccount(opened()),
  },
  closeAccount: {
    account_not_found: async () => ({ id: noAccount() }),
    account_closed: onAccount(opened('closeAccount')),
    open_holds: async () => {
      const id = await open();
      const body = { ...movement(), expires_in: 60 };
      expectStatus(await api.call('createHold', { id, body }), 201);
      return { id };
    },
  },
  creditAccount: {
    ...moving,
    balance_limit_exceeded: onAccount(opened(undefined, MAX), movement),
    grant_limit_reached: async () => {
      const id = await open();
      const sql = 'update tallystick.accounts set open_grants = $2 where account_id = $1';
      await database.engine.reader.query(sql, [parseId('account', id)!, OPEN_GRANTS_MAX]);
      return { id, body: movement({ priority: 1 }) };
    },
  },
  debitAccount: {
    ...moving,
    insufficient_balance: onAccount(opened(undefined, '0'), movement),
  },
  reverseTransaction: {
    account_not_found: async () => ({
      id: noAccount(),
      body: { transaction_id: noTransaction() },
    }),
    ...reversing((id, transaction_id) => ({ id, body: { transaction_id } })),
  },
  postTransaction: {
    invalid_amount: posting(opened(), 'debit', '01'),
    account_not_found: posting(async () => noAccount()),
    idempotency_key_mismatch: async () => {
      const { id, body } = await usedKey();
      const post = lines([id, 'debit', '1'], [await open(), 'credit', '1']);
      return { body: { ...post, idempotency_key: body.idempotency_key } };
    },
    account_closed: posting(opened('closeAccount')),
    account_frozen: posting(opened('freezeAccount')),
    unbalanced_transaction: async () => ({
      body: lines([await open(), 'debit', '1'], [await open(), 'credit', '2']),
    }),
    insufficient_balance: posting(opened(undefined, '0')),
    balance_limit_exceeded: posting(opened(undefined, MAX), 'credit'),
  },
  listTransactionsByReference: {
    invalid_cursor: async () => ({ query: { reference: 'r', starting_after: noTransaction() } }),
  },
  getTransaction: { transaction_not_found: async () => ({ id: noTransaction() }) },
  reverseTransactionById: reversing((_, id) => ({ id })),
};

const MOVING = { invalid_amount: 'amount', idempotency_key_mismatch: 'idempotency_key' };

/** The fields that are blamed. Where there is none here, none is: the path names it, say. */
const BLAMED: Partial<Record<CreditOperation, Partial<Record<ErrorCode, string>>>> = {
  createAccount: { invalid_amount: 'initial_balance', account_name_taken: 'name' },
  listAccounts: { invalid_cursor: 'ending_before' },
  listEntries: { invalid_cursor: 'starting_after' },
  creditAccount: { ...MOVING, balance_limit_exceeded: 'amount' },
  debitAccount: { ...MOVING, insufficient_balance: 'amount' },
  reverseTransaction: {
    transaction_not_found: 'transaction_id',
    transaction_not_reversible: 'transaction_id',
    insufficient_balance: 'transaction_id',
    balance_limit_exceeded: 'transaction_id',
  },
  postTransaction: {
    ...MOVING,
    invalid_amount: 'entries[0].amount',
    account_not_found: 'entries[0].account_id',
    unbalanced_transaction: 'entries',
    insufficient_balance: 'entries[0].amount',
    balance_limit_exceeded: 'entries[0].amount',
  },
  listTransactionsByReference: { invalid_cursor: 'starting_after' },
};

const NAMES = Object.keys(OPERATIONS) as OperationName[];
const ROWS = CREDIT_OPERATIONS.flatMap((name) => {
  return OPERATIONS[name].errors.map((code) => [name, code] as const);
});

test('the table of cases has every code of every operation, and no other', () => {
  expect(CREDIT_OPERATIONS).toHaveLength(15);
  for (const name of CREDIT_OPERATIONS) {
    expect(Object.keys(CASES[name]).sort(), name).toEqual([...OPERATIONS[name].errors].sort());
  }
});

test.each(ROWS)('%s can answer %s', async (name, code) => {
  const sent = await CASES[name][code]!();
  const before = await countRows(database.engine.reader);
  expectProblem(await api.call(name, sent), code, BLAMED[name]?.[code] ?? null);
  expect(await countRows(database.engine.reader)).toBe(before);
});

describe('what every operation refuses', () => {
  const BODIES: Partial<Record<OperationName, object>> = {
    createAccount: { customer_id: 'c' },
    creditAccount: movement(),
    debitAccount: movement(),
    reverseTransaction: { transaction_id: 'cct_x' },
    postTransaction: lines(['cca_x', 'debit', '1'], ['cca_y', 'credit', '1']),
  };
  const right = (name: OperationName): Sent => ({
    id: noAccount(),
    ...(name === 'listTransactionsByReference' ? { query: { reference: 'r' } } : {}),
    ...(name in BODIES ? { body: BODIES[name] } : {}),
  });

  test.each(NAMES)('%s: no key, a wrong key, a key of too little scope', async (name) => {
    expectProblem(await api.call(name, { ...right(name), key: null }), 'missing_api_key');
    expectProblem(await api.call(name, { ...right(name), key: '' }), 'missing_api_key');
    const wrong = 'tally_test_0123456789012345678901';
    expectProblem(await api.call(name, { ...right(name), key: wrong }), 'invalid_api_key');
    const { scope } = OPERATIONS[name];
    const others = SCOPES.filter((other) => other !== scope && other !== '*');
    const key = await server.addKey({ scopes: others });
    expectProblem(await api.call(name, { ...right(name), key }), 'insufficient_scope');
    const enough = await server.addKey({ scopes: [scope] });
    expect((await api.call(name, { ...right(name), key: enough })).status).not.toBe(403);
  });

  test.each(CREDIT_OPERATIONS)(
    '%s: an unknown query parameter, and one given twice',
    async (name) => {
      const sent = right(name);
      const query = { ...sent.query, nonsense: '1' };
      expectProblem(await api.call(name, { ...sent, query }), 'validation_error', 'nonsense');
      const { method, path } = OPERATIONS[name];
      const twice = `${path.replace(/:\w+/g, sent.id!)}?limit=1&limit=1`;
      const answer = await api.send(method.toUpperCase(), twice, { body: sent.body });
      expectProblem(answer, 'validation_error', 'limit');
    },
  );

  const WRITES = CREDIT_OPERATIONS.filter((name) => OPERATIONS[name].method === 'post');
  test.each(WRITES)('%s: a body that is no JSON, not JSON, or too large', async (name) => {
    const sent = right(name);
    const headers = { 'content-type': 'text/plain' };
    expectProblem(await api.call(name, { ...sent, body: '{}', headers }), 'unsupported_media_type');
    for (const body of ['{', '{"a":}', 'nonsense', '{} {}', '\ufeff\ufeff{}']) {
      expectProblem(await api.call(name, { ...sent, body }), 'invalid_json');
    }
    const body = JSON.stringify({ note: 'x'.repeat(1_000_000) });
    expectProblem(await api.call(name, { ...sent, body }), 'payload_too_large');
  });

  test.each(WRITES)('%s: an unknown field, and a body that is no object', async (name) => {
    const sent = right(name);
    const extra = { ...(sent.body as object), nonsense: 1 };
    const answer = await api.call(name, { ...sent, body: extra });
    expectProblem(answer, 'validation_error', 'nonsense');
    for (const body of [[], 'text', 1, null, true]) {
      const text = JSON.stringify(body);
      expectProblem(await api.call(name, { ...sent, body: text }), 'validation_error', null);
    }
  });
});
