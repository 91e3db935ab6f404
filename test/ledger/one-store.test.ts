import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import {
  AddressGuard,
  Deliverer,
  Ledger,
  readDeliverySettings,
  sweepStore,
} from '../../src/ledger/index.js';
import { STORE_TABLES } from '../../src/store/schema/tables.js';
import { sweepDeliveries } from '../../src/webhooks/delivery/retention.js';
import { Api, expectStatus, type Sent } from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { until } from '../harness/until.js';
import { recorded } from '../harness/watched.js';

/**
 * What Citus asks of statements, without Citus: each names one store, so that one machine answers
 * it, and what it writes depends on nothing that each machine would compute for itself.
 */

/** The tables that are spread by store; the others are on every machine. */
const SPREAD = new RegExp(`tallystick\\.(${STORE_TABLES.join('|')})\\b`);
/** The beginnings of those that go over all stores, beside requests, and may ask every machine. */
const OVER_ALL_STORES = [
  'select e.store_id, e.endpoint_id from tallystick.webhook_endpoints e where e.status',
  'select first.event_id from tallystick.webhook_endpoints e join tallystick.stores s',
];

const sent = new Set<string>();
const called = new Set<OperationName>();
let database: TestDatabase;
let server: TestServer;
let deliverer: Deliverer;

beforeAll(async () => {
  database = await PGLITE.create();
  const engine = recorded(database.engine, sent);
  const settings = readDeliverySettings({ TALLYSTICK_WEBHOOK_ALLOW: '127.0.0.1' });
  const guard = new AddressGuard(settings.allow);
  const ledger = new Ledger(engine, guard);
  server = await startServer(engine, { ledger });
  const log = { debug() {}, error() {}, info() {}, warn() {} };
  deliverer = new Deliverer(engine, { settings, guard, log, counts: ledger.webhooks.attempts });
  const api = new Api(server.url, server.key);
  const call: Call = async (name, options, params) => {
    called.add(name);
    const { method, path, status } = OPERATIONS[name];
    const ids = params === undefined ? [] : [...params];
    const target = path.replace(/:\w+/g, () => ids.shift()!);
    return expectStatus(await api.send(method.toUpperCase(), target, options), status);
  };
  const webhook = await doEverything(call);
  await sweepStore(ledger, server.store);
  deliverer.start();
  await doDeliveries(call, webhook);
  await sweepDeliveries(engine.worker, 0, () => false);
});
afterAll(async () => {
  await deliverer.stop();
  await server.close();
  await database.drop();
});

// biome-ignore lint/suspicious/noExplicitAny: a scenario looks at one field of a known answer.
type Call = (name: OperationName, options?: Sent, params?: readonly string[]) => Promise<any>;

async function doEverything(call: Call): Promise<string> {
  const webhook = await doWebhooks(call);
  const [one, two] = await doCredits(call);
  await doFunds(call, one);
  await call('freezeAccount', {}, [two]);
  await call('unfreezeAccount', {}, [two]);
  await call('closeAccount', {}, [two]);
  return webhook;
}

/** Waits for the first attempt, whose event can be sent again then. */
async function doDeliveries(call: Call, webhook: string): Promise<void> {
  const found = await until('the first attempt has failed', async () => {
    const query = { status: 'retrying' };
    const { data } = await call('listWebhookDeliveries', { query }, [webhook]);
    return data.length > 0 && data;
  });
  await call('resendWebhookEvent', {}, [webhook, found[0].id]);
  const from = new Date(Date.now() - 60_000).toISOString();
  await call('resendWebhookEvents', { body: { from } }, [webhook]);
}

let keys = 0;
const move = (amount: string) => ({ amount, reference: 'r', idempotency_key: `key ${keys++}` });
const later = () => new Date(Date.now() + 86_400_000).toISOString();

async function doWebhooks(call: Call): Promise<string> {
  const url = 'http://127.0.0.1:9/nobody';
  const http = await call('createWebhook', { body: { url } });
  const cli = await call('createWebhook', { body: { delivery_mode: 'cli' } });
  const gone = await call('createWebhook', { body: { url } });
  await call('updateWebhook', { body: { status: 'disabled', name: 'other' } }, [gone.id]);
  await call('deleteWebhook', {}, [gone.id]);
  await call('listWebhooks');
  await call('getWebhook', {}, [http.id]);
  await call('getWebhookSecret', {}, [http.id]);
  await call('rotateWebhookSecret', { body: {} }, [http.id]);
  await call('sendWebhookTestEvent', { body: {} }, [cli.id]);
  const { items } = await call('listPendingWebhookEvents', {}, [cli.id]);
  const params = [cli.id, items[0].id];
  await call('acknowledgeWebhookEvent', { body: { status_code: 500 } }, params);
  await call('listWebhookDeliveries', {}, [cli.id]);
  return http.id;
}

async function doCredits(call: Call): Promise<[string, string]> {
  const [one, two] = [
    (await call('createAccount', { body: { customer_id: 'one', initial_balance: '50' } })).id,
    (await call('createAccount', { body: { customer_id: 'two' } })).id,
  ];
  await call('listAccounts');
  await call('getAccount', {}, [one]);
  await call('getAccountBalance', {}, [one]);
  await call('getAccountBalance', { query: { at: new Date().toISOString() } }, [one]);
  const credited = await call('creditAccount', { body: move('9') }, [one]);
  const debited = await call('debitAccount', { body: move('2') }, [one]);
  await call('listEntries', {}, [one]);
  await call('reverseTransaction', { body: { transaction_id: debited.id } }, [one]);
  await call('getTransaction', {}, [credited.id]);
  await call('reverseTransactionById', { body: {} }, [credited.id]);
  const entries = [
    { account_id: one, side: 'debit', amount: '1' },
    { account_id: two, side: 'credit', amount: '1' },
  ];
  const { amount: _, ...rest } = move('1');
  await call('postTransaction', { body: { ...rest, entries } });
  await call('listTransactionsByReference', { query: { reference: 'r' } });
  await call('debitAccount', { body: move('1') }, [two]);
  return [one, two];
}

async function doFunds(call: Call, id: string): Promise<void> {
  const { amount, reference, idempotency_key: key } = move('5');
  const hold = () =>
    call('createHold', { body: { amount, reference, idempotency_key: `${key} ${keys++}` } }, [id]);
  const first = await hold();
  await call('extendHold', { body: { expires_in: 600 } }, [first.id]);
  await call('captureHold', { body: { idempotency_key: 'capture' } }, [first.id]);
  await call('releaseHold', { body: {} }, [(await hold()).id]);
  await call('getHold', {}, [first.id]);
  await call('listHolds', {}, [id]);
  for (let n = 0; n < 2; n++) {
    const body = { ...move('5'), expires_at: later() };
    await call('creditAccount', { body }, [id]);
  }
  await hold();
  const grants = await call('listGrants', {}, [id]);
  await call('voidGrant', { body: {} }, [grants.data[0].id]);
  const operations = [{ operation: 'debit', account_id: id, ...move('1') }];
  await call('batch', { body: { operations } });
  await call('getClock');
  await call('moveClock', { body: { advance: 9 * 86_400 } });
  await call('resetClock');
}

test('every operation was called', () => {
  expect(Object.keys(OPERATIONS).filter((name) => !called.has(name as OperationName))).toEqual([]);
  const written = [...sent].map((text) => text.match(/(?:into|update|from) tallystick\.\w+/g));
  const names = new Set(written.flat().map((words) => words?.split('.')[1]));
  expect([...names].sort()).toEqual(expect.arrayContaining(['drawdowns', 'deliveries', 'outbox']));
});

test('every statement names one store', () => {
  const named = /\bstore_id = \$\d|select \$1, |values \(\$1/;
  const wrong = [...sent].filter((text) => {
    const flat = text.replace(/\s+/g, ' ').trim();
    const isKnown = OVER_ALL_STORES.some((start) => flat.startsWith(start));
    return SPREAD.test(flat) && !named.test(flat) && !isKnown;
  });
  expect(wrong).toEqual([]);
});

/** Functions by name whose result depends on the time, a setting or chance. */
async function mutableFunctions(): Promise<Set<string>> {
  const { rows } = await database.engine.reader.query(
    "select proname::text as name from pg_proc group by proname having bool_or(provolatile <> 'i')",
  );
  return new Set(rows.map(({ name }) => name));
}

/** The parts of a statement that follow a word, each up to the end of what it begins. */
function clausesOf(text: string, begin: RegExp, end: RegExp): string[] {
  return text
    .split(begin)
    .slice(1)
    .map((rest) => rest.split(end)[0]!);
}

test('what is written depends on nothing that a machine would compute for itself', async () => {
  const mutable = await mutableFunctions();
  const calls = (clause: string) =>
    [...clause.matchAll(/\b(\w+)\s*\(/g)].map(([, name]) => name!).filter((n) => mutable.has(n));
  const wrong: string[] = [];
  let looked = 0;
  for (const text of sent) {
    for (const clause of clausesOf(text, /\breturning\b/, /\)\s*(?:select|insert)\b/)) {
      looked++;
      if (calls(clause).length > 0) wrong.push(`returning ${clause}`);
    }
    for (const clause of clausesOf(
      text,
      /\bupdate tallystick[\s\S]*?\bset\b/,
      /\b(?:from|where)\b/,
    )) {
      looked++;
      // The instant of a statement may be written as it is, and not within CASE or COALESCE.
      const isPlain = !/\b(?:case|coalesce)\b/.test(clause);
      const left = calls(clause).filter((name) => !(name === 'now' && isPlain));
      if (left.length > 0) wrong.push(`set ${clause}`);
    }
  }
  expect(looked).toBeGreaterThan(15);
  expect(wrong).toEqual([]);
});
