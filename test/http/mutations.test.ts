import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATIONS, type OperationName } from '../../src/contract/operations.js';
import {
  type Answer,
  Api,
  CREDIT_OPERATIONS,
  checkProblem,
  expectTransaction,
} from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { seedOf } from '../harness/seed.js';
import { startServer, type TestServer } from '../harness/server.js';
import { countRows, expectSound } from '../harness/verify.js';
import { type Described, type Mutant, mutants, type Pool } from './mutations.js';

const REQUESTS = 10_000;
const OTHERS = 2_000;
const AT_ONCE = 20;

const document = JSON.parse(
  readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'),
) as { paths: Record<string, Record<string, Described>> };
/** Of what the document describes, the operations whose answers this test knows how to judge. */
const described = Object.values(document.paths)
  .flatMap((methods) => Object.values(methods))
  .filter(({ operationId }) => operationId in OPERATIONS);

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;
  const pool = { accounts: [] as string[], transactions: [] as string[] } satisfies Pool;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    for (let n = 0; n < 30; n++) {
      const { id } = await api.open({ initial_balance: '1000' });
      pool.accounts.push(id);
      pool.transactions.push(expectTransaction(await api.credit(id, '5')).id);
    }
  });
  afterAll(async () => {
    await server.close();
    await database.drop();
  });

  const send = (mutant: Mutant) => {
    const { method, path } = OPERATIONS[mutant.operation as OperationName];
    const search =
      mutant.query.length === 0
        ? ''
        : `?${new URLSearchParams(mutant.query.map(([name, value]): [string, string] => [name, value]))}`;
    const target = path.replace(/:\w+/g, () => encodeURIComponent(mutant.id)) + search;
    const headers: Record<string, string> =
      mutant.contentType === undefined ? {} : { 'content-type': mutant.contentType };
    const body = method === 'get' ? undefined : mutant.body;
    return api.send(method.toUpperCase(), target, { body, headers });
  };

  /** What an answer says it wrote: transactions and accounts. */
  const written = ({ status, headers }: Answer, { operation, body }: Mutant): [number, number] => {
    if (status !== 201 || headers.get('x-idempotent-replay') === 'true') return [0, 0];
    if (operation !== 'createAccount') return [1, 0];
    const seed = JSON.parse(body!).initial_balance ?? '0';
    return [seed === '0' ? 0 : 1, 1];
  };

  /** Sends mutants of these operations; every answer must be what the contract has. */
  const sendAll = async (operations: readonly Described[], numRuns: number) => {
    const seed = seedOf(`${numRuns} mutated requests on ${engine.name}`);
    const any = fc.oneof(...operations.map((operation) => mutants(operation, pool)));
    const requests = fc.sample(any, { numRuns, seed });
    const totals = { transactions: 0, accounts: 0, refused: 0 };
    for (let start = 0; start < requests.length; start += AT_ONCE) {
      const sent = requests.slice(start, start + AT_ONCE);
      const answers = await Promise.all(sent.map(send));
      for (const [index, answer] of answers.entries()) {
        const mutant = sent[index]!;
        const row = OPERATIONS[mutant.operation as OperationName];
        try {
          expect(answer.status).toBeLessThan(500);
          if (answer.status === row.status) row.answer.parse(answer.body);
          else checkProblem(answer);
        } catch (cause) {
          throw new Error(`TEST_SEED=${seed}: ${JSON.stringify(mutant)}`, { cause });
        }
        const [moved, opened] = written(answer, mutant);
        totals.transactions += moved;
        totals.accounts += opened;
        if (answer.status >= 400) totals.refused++;
      }
    }
    expect(server.errors).toEqual([]);
    expect((await api.send('GET', '/livez')).status).toBe(200);
    await expectSound(database.engine.reader);
    return totals;
  };
  const isCredit = ({ operationId }: Described) =>
    CREDIT_OPERATIONS.some((name) => name === operationId);

  test('ten thousand: no 5xx, the envelope, nothing written on a refusal', {
    timeout: 240_000,
  }, async () => {
    const before = await countRows(database.engine.reader);
    const totals = await sendAll(described.filter(isCredit), REQUESTS);
    // The test would be worth little if all were refused, or none.
    expect(totals.refused).toBeGreaterThan(REQUESTS / 5);
    expect(totals.refused).toBeLessThan((REQUESTS * 19) / 20);
    const numbers = (counts: string) => counts.match(/\d+/g)!.map(Number);
    const [accounts, transactions] = numbers(before);
    const after = numbers(await countRows(database.engine.reader));
    expect(after.slice(0, 2)).toEqual([
      accounts! + totals.accounts,
      transactions! + totals.transactions,
    ]);
  });

  // A clock that is moved lets grants expire, so what these write cannot be told from answers.
  test('the operations beside Creem’s: no 5xx, and the envelope', async () => {
    await sendAll(
      described.filter((operation) => !isCredit(operation)),
      OTHERS,
    );
  });
});
