import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import type { TransactionBody } from '../../src/contract/schema.js';
import { verifyLedger } from '../../src/ledger/index.js';
import { type Answer, Api, checkProblem, expectStatus, uniqueName } from '../harness/api.js';
import { onEngines, PGLITE, POSTGRES, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { startServer, type TestServer } from '../harness/server.js';
import { digestRows, expectSound } from '../harness/verify.js';
import { anyMutant, type Mutant, type Pool, routesOf } from './mutations.js';

/** On both engines together, for what they do differently is little. */
const ROUNDS = 10;
const ROUNDS_OF_PGLITE = POSTGRES.available ? (PGLITE.available ? 4 : 0) : ROUNDS;
const REQUESTS_A_ROUND = 1_000;
const AT_ONCE = 20;
/** A hundred or more are to be expected of the least of them. */
const EACH_AT_LEAST = 50;

const routes = routesOf(
  JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8')),
);

/** Refusals that depend on nothing that a request could change, but for these fields. */
const FOR_EVER = /^(validation_error|invalid_\w+|unsupported_media_type|\w+_not_found)$/;
const OF_ITS_TIME = /\b(effective_at|expires_at|advance)$/;

/** What requests can make or remove; expiries are left out, for they happen by themselves. */
const MADE = `select
  (select count(*) from tallystick.accounts)::integer as accounts,
  (select count(*) from tallystick.transactions
    where operation not in ('expire', 'void'))::integer as transactions,
  (select count(*) from tallystick.holds)::integer as holds,
  (select count(*) from tallystick.grants where voided_at is not null)::integer as voided,
  (select count(*) from tallystick.webhook_endpoints)::integer as webhooks`;
type Made = Record<'accounts' | 'transactions' | 'holds' | 'voided' | 'webhooks', number>;

interface BatchResult {
  readonly status: number;
  readonly replayed?: boolean;
  readonly body?: TransactionBody | { readonly object: 'hold' | 'grant'; readonly id: string };
}

/** Adds to the tally what an answer says that its request made. */
function addMade(
  made: Made,
  voided: Set<string>,
  { operation, body }: Mutant,
  { status, headers, ...answer }: Answer,
) {
  if (status >= 400 || headers.get('x-idempotent-replay') === 'true') return;
  if (operation === 'batch') {
    for (const result of answer.body.results as BatchResult[]) {
      const { body: told } = result;
      if (told !== undefined && 'object' in told && told.object === 'grant') voided.add(told.id);
      if (result.status !== 201 || result.replayed) continue;
      made['object' in result.body! ? 'holds' : 'transactions']++;
    }
  } else if (operation === 'createAccount') {
    made.accounts++;
    if ((JSON.parse(body!).initial_balance ?? '0') !== '0') made.transactions++;
  } else if (operation === 'createHold') made.holds++;
  else if (operation === 'createWebhook') made.webhooks++;
  else if (operation === 'deleteWebhook') made.webhooks--;
  else if (status === 201) made.transactions++;
}

/** Things of every kind for mutants to name; what an earlier round left is closed or spent. */
async function stock(api: Api): Promise<Pool> {
  expectStatus(await api.call('resetClock'), 200);
  const left = await api.call('listWebhooks', { query: { page_size: '100' } });
  for (const { id } of expectStatus(left, 200).items) await api.call('deleteWebhook', { id });
  const webhooks: string[] = [];
  for (const delivery_mode of ['http', 'cli', 'http', 'cli', 'http', 'cli', 'http', 'cli']) {
    const body = { delivery_mode, url: 'https://93.184.215.14/h' };
    webhooks.push(expectStatus(await api.call('createWebhook', { body }), 200).id);
  }
  const accounts: string[] = [];
  const transactions: string[] = [];
  const holds: string[] = [];
  const grants: string[] = [];
  for (let n = 0; n < 6; n++) {
    const { id } = await api.open({ initial_balance: '1000' });
    accounts.push(id);
    for (const terms of [{}, { priority: n }, { expires_at: '2035-01-01T00:00:00Z' }]) {
      const body = { amount: '5', reference: 'r', idempotency_key: uniqueName('key'), ...terms };
      transactions.push(expectStatus(await api.call('creditAccount', { id, body }), 201).id);
    }
    for (const amount of ['1', '2', '3']) {
      const body = { amount, reference: 'r', idempotency_key: uniqueName('key') };
      holds.push(expectStatus(await api.call('createHold', { id, body }), 201).id);
    }
    const listed = expectStatus(await api.call('listGrants', { id }), 200);
    grants.push(...listed.data.map((grant: { id: string }) => grant.id));
  }
  await api.call('freezeAccount', { id: accounts.at(-1)! });
  const pending = await api.call('listPendingWebhookEvents', { id: webhooks[1]! });
  const events = expectStatus(pending, 200).items.map((event: { id: string }) => event.id);
  return { accounts, transactions, holds, grants, webhooks, events };
}

/**
 * Books what has fallen due, and lets nothing more fall due: whatever names an account books that
 * first, also where it is then refused.
 */
async function stopClock(api: Api): Promise<void> {
  const { now } = expectStatus(await api.call('getClock'), 200);
  expectStatus(await api.call('moveClock', { body: { now } }), 200);
}

const tally = new Map(routes.map(({ operationId }) => [operationId, { done: 0, refused: 0 }]));

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
    await server.close();
    await database.drop();
  });

  const send = async ({ method, path, query, body, contentType }: Mutant) => {
    const pairs = query.map(([name, value]): [string, string] => [name, value]);
    const search = pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
    const headers: Record<string, string> =
      contentType === undefined ? {} : { 'content-type': contentType };
    for (;;) {
      const answer = await api.send(method, path + search, { body, headers });
      // On a busy machine a read may have waited for too long, and is to be asked again.
      const isLate = method === 'GET' && answer.status === 503;
      if (!isLate || answer.body.error.code !== 'overloaded') return answer;
    }
  };

  /** Sends requests, some at a time, and hands over each with its answer. */
  const sendAll = async (
    mutants: readonly Mutant[],
    judge: (mutant: Mutant, answer: Answer) => void,
  ) => {
    for (let start = 0; start < mutants.length; start += AT_ONCE) {
      const sent = mutants.slice(start, start + AT_ONCE);
      const answers = await Promise.all(sent.map(send));
      for (const [index, answer] of answers.entries()) {
        try {
          judge(sent[index]!, answer);
        } catch (cause) {
          throw new Error(JSON.stringify(sent[index]), { cause });
        }
      }
    }
  };

  const countMade = async (): Promise<Made> => (await database.engine.reader.query(MADE)).rows[0];

  /** Every answer must be what the contract has, and what is made what the answers say. */
  const playRound = async (seed: number) => {
    const pool = await stock(api);
    const mutants = fc.sample(anyMutant(routes, pool), { numRuns: REQUESTS_A_ROUND, seed });
    const made = await countMade();
    const voided = new Set<string>();
    const refusedForEver: Mutant[] = [];
    await sendAll(mutants, (mutant, answer) => {
      const row = OPERATIONS[mutant.operation as OperationName];
      const told = tally.get(mutant.operation)!;
      expect(answer.status).toBeLessThan(500);
      if (answer.status === row.status) {
        row.answer.parse(answer.body);
        told.done++;
        if (mutant.operation === 'voidGrant') voided.add(answer.body.id);
        else addMade(made, voided, mutant, answer);
      } else {
        const { code, param } = checkProblem(answer).error;
        told.refused++;
        if (FOR_EVER.test(code) && !OF_ITS_TIME.test(param ?? '')) refusedForEver.push(mutant);
      }
    });
    expect(await countMade()).toEqual({ ...made, voided: made.voided + voided.size });
    await stopClock(api);
    const before = await digestRows(database.engine.reader);
    await sendAll(refusedForEver, (_, answer) => {
      // Which of its refusals a batch names may change, but not that it is refused.
      checkProblem(answer);
    });
    expect(await digestRows(database.engine.reader)).toEqual(before);
  };

  test('no 5xx, the envelope, nothing written on a refusal', async () => {
    const rounds = engine === PGLITE ? ROUNDS_OF_PGLITE : ROUNDS - ROUNDS_OF_PGLITE;
    const seed = seedOf(`${rounds * REQUESTS_A_ROUND} mutated requests on ${engine.name}`);
    for (let round = 0; round < rounds; round++) await playRound(seed + round);
    expect(server.errors).toEqual([]);
    expect((await api.send('GET', '/livez')).status).toBe(200);
    await expectSound(database.engine.reader);
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
  });
});

test('that was ten thousand on all routes', () => {
  expect([...tally.keys()].sort()).toEqual(Object.keys(OPERATIONS).sort());
  let refused = 0;
  for (const [operation, told] of tally) {
    expect(told.done + told.refused, operation).toBeGreaterThanOrEqual(EACH_AT_LEAST);
    expect(told.done, `${operation} was carried out`).toBeGreaterThan(0);
    refused += told.refused;
  }
  // The test would be worth little if most were refused, or few.
  expect(refused).toBeGreaterThan((ROUNDS * REQUESTS_A_ROUND) / 5);
  expect(refused).toBeLessThan((ROUNDS * REQUESTS_A_ROUND * 9) / 10);
});
