import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/core/errors.js';
import { debitCommand, openCommand } from '../../src/ledger/commands.js';
import { ensureKey, generateKey, Ledger, verifyLedger } from '../../src/ledger/index.js';
import { Api, expectProblem, expectStatus, uniqueName } from '../harness/api.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';
import { verbsOf, watched } from '../harness/watched.js';

/** Holds, grants, bulk and the clock over a socket; each answer is held against its row. */

const START = '2030-01-01T00:00:00.000Z';
const later = (seconds: number) => new Date(Date.parse(START) + seconds * 1000).toISOString();

onEngines((engine) => {
  let database: TestDatabase;
  let server: TestServer;
  let api: Api;

  beforeAll(async () => {
    database = await engine.create();
    server = await startServer(database.engine);
    api = new Api(server.url, server.key);
    expectStatus(await api.call('moveClock', { body: { now: START } }), 200);
  });
  afterAll(async () => {
    expect(server.errors).toEqual([]);
    await server.close();
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
    await database.drop();
  });

  const movement = (amount: string, more: object = {}) => ({
    amount,
    reference: 'test',
    idempotency_key: uniqueName('key'),
    ...more,
  });
  const credit = async (id: string, amount: string, more: object = {}) =>
    expectStatus(await api.call('creditAccount', { id, body: movement(amount, more) }), 201);
  const hold = (id: string, amount: string, more: object = {}) =>
    api.call('createHold', { id, body: movement(amount, more) });
  const position = async (id: string) => {
    const answer = expectStatus(await api.call('getAccountBalance', { id }), 200);
    const { balance, held, available, pending } = answer;
    return { balance, held, available, pending };
  };
  const settled = (available: string) => ({
    balance: available,
    held: '0',
    available,
    pending: '0',
  });

  describe('holds', () => {
    test('lower what is available, and are captured in parts', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const body = movement('8');
      const made = expectStatus(await api.call('createHold', { id, body }), 201);
      const again = await api.call('createHold', { id, body });
      expect(again.body).toEqual(made);
      expect(again.headers.get('x-idempotent-replay')).toBe('true');
      expect(await position(id)).toEqual({
        balance: '10',
        held: '8',
        available: '2',
        pending: '0',
      });
      expectProblem(await api.debit(id, '3'), 'insufficient_balance');
      expectProblem(await api.call('closeAccount', { id }), 'open_holds');

      const part = { amount: '3', final: false, idempotency_key: uniqueName('key') };
      const captured = await api.call('captureHold', { id: made.id, body: part });
      expect(expectStatus(captured, 201)).toMatchObject({ hold_id: made.id, reference: 'test' });
      const replay = await api.call('captureHold', { id: made.id, body: part });
      expect(replay.body).toEqual(captured.body);
      expect(replay.headers.get('x-idempotent-replay')).toBe('true');

      const last = { idempotency_key: uniqueName('key'), amount: '4' };
      expectStatus(await api.call('captureHold', { id: made.id, body: last }), 201);
      expect(await position(id)).toEqual(settled('3'));
      expectProblem(await api.call('releaseHold', { id: made.id }), 'hold_not_open');
    });

    test('an overage is refused, or capped at what is there', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const made = expectStatus(await hold(id, '4'), 201);
      const body = { amount: '11', idempotency_key: uniqueName('key') };
      expectProblem(await api.call('captureHold', { id: made.id, body }), 'insufficient_balance');
      const capped = await api.call('captureHold', {
        id: made.id,
        body: { ...body, overage: 'cap' },
      });
      expect(expectStatus(capped, 201).entries[0].amount).toBe('10');
    });

    test('end at their instant, and a late capture says so', async () => {
      const { id } = await api.open({ initial_balance: '5' });
      const made = expectStatus(await hold(id, '5', { expires_in: 10 }), 201);
      expectStatus(await api.call('moveClock', { body: { advance: 9 } }), 200);
      expectProblem(await api.debit(id, '1'), 'insufficient_balance');
      expectStatus(await api.call('extendHold', { id: made.id, body: { expires_in: 5 } }), 200);
      const moved = expectStatus(await api.call('moveClock', { body: { advance: 5 } }), 200);
      expect(moved.settled).toMatchObject({ accounts: 1, holds_expired: 1 });
      expect((await api.call('getHold', { id: made.id })).body.status).toBe('expired');
      const late = await api.call('captureHold', {
        id: made.id,
        body: { amount: '2', idempotency_key: uniqueName('key') },
      });
      expect(expectStatus(late, 201)).toMatchObject({ late: true, hold_id: made.id });
      expect(await position(id)).toEqual(settled('3'));
    });

    test('and grants of a closed account leave a balance of which nothing is available', async () => {
      const { id } = await api.open({ initial_balance: '100' });
      await credit(id, '50', { expires_at: later(100_000) });
      const { id: plain } = await api.open({ initial_balance: '7' });
      for (const [account, balance] of [
        [id, '150'],
        [plain, '7'],
      ] as const) {
        expect((await position(account)).available).toBe(balance);
        expectStatus(await api.call('closeAccount', { id: account }), 200);
        const left = { balance, held: '0', available: '0', pending: '0' };
        expect(await position(account)).toEqual(left);
        expectProblem(await api.debit(account, '1'), 'account_closed');
      }
    });

    test('are released once, however often', async () => {
      const { id } = await api.open({ initial_balance: '5' });
      const made = expectStatus(await hold(id, '5'), 201);
      const first = await api.call('releaseHold', { id: made.id });
      const second = await api.call('releaseHold', { id: made.id });
      expect(expectStatus(second, 200)).toEqual(expectStatus(first, 200));
      expect(second.headers.get('x-idempotent-replay')).toBe('true');
      const open = await api.call('listHolds', { id, query: { status: 'open' } });
      expect(expectStatus(open, 200).data).toEqual([]);
      const all = await api.call('listHolds', { id, query: { limit: '1' } });
      expect(expectStatus(all, 200).data).toEqual([first.body]);
    });

    test('are refused on a frozen account, and so are captures', async () => {
      const { id } = await api.open({ initial_balance: '5' });
      const made = expectStatus(await hold(id, '1'), 201);
      expectStatus(await api.call('freezeAccount', { id }), 200);
      expectProblem(await hold(id, '1'), 'account_frozen');
      const body = { idempotency_key: uniqueName('key') };
      expectProblem(await api.call('captureHold', { id: made.id, body }), 'account_frozen');
      expectStatus(await api.call('releaseHold', { id: made.id }), 200);
    });

    test('of another store are not there', async () => {
      const { id } = await api.open({ initial_balance: '5' });
      const made = expectStatus(await hold(id, '1'), 201);
      const stranger = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
      for (const name of ['getHold', 'releaseHold'] as const) {
        expectProblem(await stranger.call(name, { id: made.id }), 'hold_not_found');
      }
      const body = { idempotency_key: uniqueName('key') };
      expectProblem(await stranger.call('captureHold', { id: made.id, body }), 'hold_not_found');
    });
  });

  describe('grants', () => {
    test('are used in order, expire by themselves and show it', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const now = expectStatus(await api.call('getClock'), 200).now;
      const at = (seconds: number) => new Date(Date.parse(now) + seconds * 1000).toISOString();
      await credit(id, '100', { expires_at: at(60), category: 'promotional' });
      await credit(id, '50', { effective_at: at(30), priority: 10 });
      expect(await position(id)).toEqual({
        balance: '110',
        held: '0',
        available: '110',
        pending: '50',
      });
      const used = expectStatus(await api.debit(id, '30'), 201);
      expect(used.drawdowns).toMatchObject([{ entry_id: used.entries[0].id, amount: '30' }]);
      const before = expectStatus(await api.call('getAccountBalance', { id }), 200);
      expect(before.expiring_next).toEqual({ amount: '70', at: at(60) });

      const moved = expectStatus(await api.call('moveClock', { body: { advance: 60 } }), 200);
      expect(moved.settled.transactions).toHaveLength(1);
      expect(moved.settled.transactions[0]).toMatchObject({ reference: 'expired' });
      expect(moved.settled.transactions[0].created_at).toBe(at(60));
      expect(await position(id)).toEqual(settled('60'));
      expect(await api.balance(id, at(59.999))).toBe('130');
      expect(await api.balance(id, at(60))).toBe('60');

      const reversed = await api.call('reverseTransactionById', { id: used.id });
      expect(expectStatus(reversed, 201).drawdowns).toMatchObject([{ amount: '-30' }]);
      expect(await position(id)).toEqual(settled('60'));
    });

    test('are listed by status, and voided once', async () => {
      const { id } = await api.open();
      await credit(id, '7', { priority: 1 });
      const list = async (status: string) =>
        expectStatus(await api.call('listGrants', { id, query: { status } }), 200).data;
      const [grant] = await list('active');
      expect(grant).toMatchObject({ amount: '7', remaining: '7', priority: 1, category: 'paid' });
      const voided = expectStatus(await api.call('voidGrant', { id: grant.id }), 200);
      expect(voided).toMatchObject({ status: 'voided', remaining: '0' });
      expect(expectStatus(await api.call('voidGrant', { id: grant.id }), 200)).toEqual(voided);
      expect(await list('active')).toEqual([]);
      expect(await list('voided')).toEqual([voided]);
      expect(await position(id)).toEqual(settled('0'));
    });

    test('a void says what it took at once and where, however often it is sent', async () => {
      const { id } = await api.open();
      const grantOf = async () =>
        expectStatus(await api.call('listGrants', { id }), 200).data[0] as { id: string };
      const voiding = async (grant: string) =>
        expectStatus(await api.call('voidGrant', { id: grant }), 200);
      const took = async (transaction: string) =>
        expectStatus(await api.call('getTransaction', { id: transaction }), 200).entries[0].amount;

      await credit(id, '9', { priority: 0 });
      const whole = await grantOf();
      expect(whole).toMatchObject({ voided_amount: null, void_transaction_id: null });
      await api.debit(id, '2');
      const voided = await voiding(whole.id);
      expect(voided).toMatchObject({ voided_amount: '7', remaining: '0', status: 'voided' });
      expect(await took(voided.void_transaction_id)).toBe('7');
      expect(await voiding(whole.id)).toEqual(voided);

      // What a hold keeps goes later, and does not change what was taken at once.
      await credit(id, '9', { priority: 0 });
      const part = await grantOf();
      const kept = expectStatus(await hold(id, '4'), 201).id;
      const first = await voiding(part.id);
      expect(first).toMatchObject({ voided_amount: '5', remaining: '4' });
      expectStatus(await api.call('releaseHold', { id: kept }), 200);
      expect(await voiding(part.id)).toEqual({ ...first, remaining: '0' });

      await credit(id, '9', { priority: 0 });
      const none = await grantOf();
      const all = expectStatus(await hold(id, '9'), 201).id;
      const empty = await voiding(none.id);
      expect(empty).toMatchObject({ voided_amount: '0', void_transaction_id: null });
      // The clock stands still, so that what is freed goes at the very instant of the void.
      expectStatus(await api.call('releaseHold', { id: all }), 200);
      expect(await voiding(none.id)).toEqual({ ...empty, remaining: '0' });
      expect(await grantOf()).toEqual({ ...empty, remaining: '0' });
      expect(await position(id)).toEqual(settled('0'));
    });

    test('cannot begin in the past, which is told from the time of the movement', async () => {
      const past = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
      const move = (body: object) => past.call('moveClock', { body });
      expectStatus(await move({ now: START }), 200);
      const { id } = await past.open();
      const send = (effective_at: string, key = uniqueName('key')) => {
        const body = { ...movement('1'), idempotency_key: key, effective_at };
        return past.call('creditAccount', { id, body });
      };
      const { error } = expectProblem(
        await send(later(-0.001)),
        'validation_error',
        'effective_at',
      );
      expect(error.message).toContain(START);
      const key = uniqueName('key');
      const first = expectStatus(await send(later(0), key), 201);
      expectStatus(await send(later(10)), 201);
      expectStatus(await move({ advance: 60 }), 200);
      // What was accepted is a replay, however long ago it was.
      const replay = await send(later(0), key);
      expect(expectStatus(replay, 201)).toEqual(first);
      expect(replay.headers.get('x-idempotent-replay')).toBe('true');
      expectProblem(await send(later(59)), 'validation_error', 'effective_at');
      // An account that was ahead of the clock lives on at its last instant.
      expectStatus(await send(later(60)), 201);
      expectStatus(await move({ now: START }), 200);
      expectProblem(await send(later(59)), 'validation_error', 'effective_at');
      expectStatus(await send(later(60)), 201);
    });

    test('cannot end before they begin', async () => {
      const { id } = await api.open();
      const refused = [
        { expires_at: START },
        { expires_at: later(500), effective_at: later(500) },
        { expires_at: 'soon' },
        { priority: 101 },
        { priority: 1.5 },
        { category: 'free' },
      ];
      for (const fields of refused) {
        const body = movement('1', fields);
        expectProblem(
          await api.call('creditAccount', { id, body }),
          'validation_error',
          Object.keys(fields)[0]!,
        );
      }
    });
  });

  describe('bulk', () => {
    test('answers each operation in order', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const operations = [
        { op: 'credit', account_id: id, ...movement('5') },
        { op: 'debit', account_id: id, ...movement('16') },
        { op: 'hold', account_id: id, ...movement('15') },
        { op: 'debit', account_id: 'cca_nobody', ...movement('1') },
        { op: 'debit', account_id: id, ...movement('1') },
      ];
      const { results } = expectStatus(await api.call('batch', { body: { operations } }), 200);
      const codes = results.map((result: { status: number; error?: { code: string } }) => [
        result.status,
        result.error?.code,
      ]);
      expect(codes).toEqual([
        [201, undefined],
        [422, 'insufficient_balance'],
        [201, undefined],
        [404, 'account_not_found'],
        [422, 'insufficient_balance'],
      ]);
      const again = expectStatus(await api.call('batch', { body: { operations } }), 200).results;
      expect(again[0]).toEqual({ ...results[0], replayed: true });
      const rest = [
        { op: 'capture', hold_id: results[2].body.id, idempotency_key: uniqueName('key') },
        { op: 'release', hold_id: results[2].body.id },
        { op: 'reverse', transaction_id: results[0].body.id },
      ];
      const after = expectStatus(await api.call('batch', { body: { operations: rest } }), 200);
      expect(after.results.map(({ status }: { status: number }) => status)).toEqual([
        201, 409, 422,
      ]);
    });

    test('one that is malformed is refused by itself, as the single request would be', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const good = () => ({ op: 'debit', account_id: id, ...movement('1') });
      const wrong: [operation: unknown, code: ErrorCode, param: string | null][] = [
        [{ ...good(), amount: 1 }, 'invalid_amount', 'amount'],
        [{ ...good(), op: 'burn' }, 'validation_error', 'op'],
        [{ ...good(), reference: undefined }, 'validation_error', 'reference'],
        [{ ...good(), nope: 1 }, 'validation_error', 'nope'],
        [7, 'validation_error', null],
        [null, 'validation_error', null],
      ];
      const operations = [good(), ...wrong.map(([operation]) => operation), good()];
      const { results } = expectStatus(await api.call('batch', { body: { operations } }), 200);
      expect([results[0].status, results.at(-1).status]).toEqual([201, 201]);
      for (const [index, [operation, code, param]] of wrong.entries()) {
        expect(results[index + 1]).toMatchObject({ status: 400, error: { code, param } });
        const { op: _, account_id: __, ...body } = Object(operation);
        if (!['amount', 'reference', 'nope'].includes(param!)) continue;
        const single = expectProblem(await api.call('debitAccount', { id, body }), code, param);
        expect(results[index + 1].error.message).toBe(single.error.message);
      }
      expect(await api.balance(id)).toBe('8');
      const bad = expectStatus(await api.call('batch', { body: { operations: [{}] } }), 200);
      expect(bad.results).toMatchObject([{ status: 400, error: { param: 'op' } }]);

      const atomic = { atomic: true, operations };
      const problem = await api.call('batch', { body: atomic });
      expectProblem(problem, 'invalid_amount', 'operations[1].amount');
      for (const [body, param] of [
        [{ operations, nope: 1 }, 'nope'],
        [{ operations: {} }, 'operations'],
        [{ operations, atomic: 1 }, 'atomic'],
      ] as const) {
        expectProblem(await api.call('batch', { body }), 'validation_error', param);
      }
      expect(await api.balance(id)).toBe('8');
    });

    test('voids grants, atomic and not', async () => {
      const { id } = await api.open();
      await credit(id, '7', { priority: 0 });
      await credit(id, '5', { priority: 0 });
      const grants = expectStatus(await api.call('listGrants', { id }), 200).data;
      const [five, seven] = grants.map((grant: { id: string }) => ({
        op: 'void',
        grant_id: grant.id,
      }));
      const taking = { op: 'debit', account_id: id, ...movement('6') };
      const batch = (atomic: boolean, ...operations: object[]) =>
        api.call('batch', { body: { atomic, operations } });

      const refused = await batch(true, five, taking, { op: 'void', grant_id: 'ccg_nothing' });
      expectProblem(refused, 'grant_not_found', 'operations[2].grant_id');
      const short = await batch(true, seven, five, taking);
      expectProblem(short, 'insufficient_balance', 'operations[2].amount');
      expect(await position(id)).toEqual(settled('12'));

      const { results } = expectStatus(await batch(false, taking, seven, seven, five, taking), 200);
      expect(results.map(({ status }: { status: number }) => status)).toEqual([
        201, 200, 200, 200, 201,
      ]);
      expect(results[1].body).toMatchObject({ id: seven.grant_id, voided_amount: '1' });
      expect(results[2].body).toEqual(results[1].body);
      const voided = await api.call('voidGrant', { id: seven.grant_id });
      expect(expectStatus(voided, 200)).toEqual(results[1].body);
      expect(results[4].replayed).toBe(true);
      const again = expectStatus(await batch(true, seven, five), 200).results;
      expect(again).toEqual([results[1], results[3]]);
      expect(await position(id)).toEqual(settled('0'));
    });

    test('atomic is all or nothing, and names the culprit', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const other = await api.open();
      const key = uniqueName('key');
      const operations = [
        { op: 'debit', account_id: id, ...movement('4'), idempotency_key: key },
        { op: 'credit', account_id: other.id, ...movement('4') },
        { op: 'debit', account_id: id, ...movement('7') },
      ];
      const answer = await api.call('batch', { body: { atomic: true, operations } });
      expectProblem(answer, 'insufficient_balance', 'operations[2].amount');
      expect([await api.balance(id), await api.balance(other.id)]).toEqual(['10', '0']);
      const shorter = { atomic: true, operations: operations.slice(0, 2) };
      expectStatus(await api.call('batch', { body: shorter }), 200);
      expect([await api.balance(id), await api.balance(other.id)]).toEqual(['6', '4']);
    });

    test('takes a thousand operations and not one more', async () => {
      const { id } = await api.open({ initial_balance: '1000' });
      const operations = Array.from({ length: 1_000 }, (_, i) => ({
        op: 'debit',
        account_id: id,
        amount: '1',
        reference: 'call',
        idempotency_key: `bulk_${id}_${i}`,
      }));
      expectStatus(await api.call('batch', { body: { operations } }), 200);
      expect(await api.balance(id)).toBe('0');
      const body = { operations: [...operations, operations[0]] };
      expectProblem(await api.call('batch', { body }), 'validation_error', 'operations');
    });
  });

  describe('the clock', () => {
    test('belongs to one test store', async () => {
      const stranger = new Api(server.url, await server.addKey({ store: uniqueName('store') }));
      const own = expectStatus(await api.call('getClock'), 200);
      const theirs = expectStatus(await stranger.call('getClock'), 200);
      expect([own.real, theirs.real]).toEqual([false, true]);
      expect(Date.parse(theirs.now)).toBeLessThan(Date.parse(START));
      const moved = await stranger.call('moveClock', { body: { now: '2040-01-01T00:00:00Z' } });
      expect(expectStatus(moved, 200).now).toBe('2040-01-01T00:00:00.000Z');
      expect(expectStatus(await api.call('getClock'), 200)).toEqual(own);
      expect(expectStatus(await stranger.call('resetClock'), 200).real).toBe(true);
    });

    test('of a live store is real', async () => {
      const key = generateKey('live');
      await ensureKey(database.engine.reader, key, { name: 'live', scopes: ['*'] });
      const live = new Api(server.url, key);
      expectProblem(await live.call('moveClock', { body: { advance: 1 } }), 'not_a_test_store');
      expectProblem(await live.call('resetClock'), 'not_a_test_store');
    });

    test('may go back, and an account that was ahead keeps its order', async () => {
      const key = await server.addKey({ store: uniqueName('store') });
      const ahead = new Api(server.url, key);
      expectStatus(await ahead.call('moveClock', { body: { now: '2050-01-01T00:00:00Z' } }), 200);
      const { id } = await ahead.open({ initial_balance: '5' });
      expectStatus(await ahead.call('moveClock', { body: {} }), 200);
      const spent = expectStatus(await ahead.debit(id, '1'), 201);
      expect(spent.created_at).toBe('2050-01-01T00:00:00.000Z');
    });

    test.each([{ now: 'x' }, { advance: 0 }, { advance: -1 }, { advance: 1.5 }, { nope: 1 }])(
      'refuses %j',
      async (body) => {
        expectProblem(await api.call('moveClock', { body }), 'validation_error');
      },
    );
  });

  describe('metadata, filters and CSV', () => {
    test('metadata is kept, and part of the request', async () => {
      const metadata = { plan: 'pro', note: 'ünïcode' };
      const body = { customer_id: uniqueName('cust'), metadata };
      const account = expectStatus(await api.call('createAccount', { body }), 201);
      expect(account.metadata).toEqual(metadata);
      const sent = movement('1', { metadata });
      const made = expectStatus(
        await api.call('creditAccount', { id: account.id, body: sent }),
        201,
      );
      expect(made.metadata).toEqual(metadata);
      const other = { ...sent, metadata: { plan: 'free' } };
      const again = await api.call('creditAccount', { id: account.id, body: other });
      expectProblem(again, 'idempotency_key_mismatch');
      const tooMany = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 'v']));
      for (const wrong of [tooMany, { ['k'.repeat(41)]: 'v' }, { k: 'v'.repeat(501) }, { k: 1 }]) {
        const refused = { id: account.id, body: movement('1', { metadata: wrong }) };
        expectProblem(await api.call('creditAccount', refused), 'validation_error');
      }
    });

    test('a description is kept, told, looked for, and part of the request', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      const description = 'Ticket "7", =1';
      for (const operation of ['creditAccount', 'debitAccount'] as const) {
        const sent = movement('2', { description });
        const made = expectStatus(await api.call(operation, { id, body: sent }), 201);
        expect(made.description).toBe(description);
        const read = await api.call('getTransaction', { id: made.id });
        expect(expectStatus(read, 200).description).toBe(description);
        const again = expectStatus(await api.call(operation, { id, body: sent }), 201);
        expect(again).toEqual(made);
        for (const other of [
          { ...sent, description: 'other' },
          movement('2', { ...sent, description: undefined }),
        ]) {
          expectProblem(await api.call(operation, { id, body: other }), 'idempotency_key_mismatch');
        }
      }
      const told = async (query: Record<string, string>) => {
        const all = { id, query: { expand: 'transaction', ...query } };
        const { data } = expectStatus(await api.call('listEntries', all), 200);
        return data.map((entry: { transaction: object }) => entry.transaction);
      };
      expect(await told({ description })).toMatchObject([{ description }, { description }]);
      expect(await told({ description: 'Ticket' })).toEqual([]);
      expect((await told({}))[2]).not.toHaveProperty('description');
      const path = `/v1/customer-credits/accounts/${id}/entries`;
      const csv = await api.send('GET', path, { headers: { accept: 'text/csv' } });
      const lines = (csv.body as string).split('\r\n');
      expect(lines[0]).toMatch(/,description$/);
      expect(lines[1]).toMatch(/,"Ticket ""7"", =1"$/);
      expect(lines[3]).toMatch(/,""$/);
      for (const wrong of ['', 'x'.repeat(501), 7]) {
        const body = movement('1', { description: wrong });
        expectProblem(await api.call('debitAccount', { id, body }), 'validation_error');
      }
      const longest = movement('1', { description: 'x'.repeat(500) });
      expectStatus(await api.call('debitAccount', { id, body: longest }), 201);
    });

    test('entries are filtered, expanded and exported', async () => {
      const { id } = await api.open({ initial_balance: '10' });
      await api.debit(id, '1', uniqueName('key'), '=cmd|"x"');
      await api.credit(id, '2', uniqueName('key'), 'order_1');
      const amounts = async (query: Record<string, string>) =>
        (await api.entries(id, query)).data.map(({ amount }) => amount);
      expect(await amounts({ side: 'debit' })).toEqual(['1']);
      expect(await amounts({ reference: 'order_1' })).toEqual(['2']);
      expect(await amounts({ from: '2100-01-01' })).toEqual([]);
      expect(await amounts({ to: '2100-01-01' })).toEqual(['2', '1', '10']);
      const expanded = (await api.entries(id, { expand: 'transaction', limit: '1' })).data;
      expect(expanded).toMatchObject([{ transaction: { reference: 'order_1', metadata: null } }]);

      const path = `/v1/customer-credits/accounts/${id}/entries`;
      const csv = await api.send('GET', path, { headers: { accept: 'text/csv' } });
      expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
      const lines = (csv.body as string).trimEnd().split('\r\n');
      expect(lines).toHaveLength(4);
      expect(lines[2]).toContain(`,debit,1,9,"'=cmd|""x""",`);
    });

    test('accounts are filtered by status and name', async () => {
      const customer = uniqueName('cust');
      const first = await api.open({ customer_id: customer, name: 'Points' });
      const second = await api.open({ customer_id: customer, name: 'Wallet' });
      expectStatus(await api.call('freezeAccount', { id: second.id }), 200);
      const ids = async (query: Record<string, string>) => {
        const answer = await api.call('listAccounts', {
          query: { customer_id: customer, ...query },
        });
        return expectStatus(answer, 200).data.map((account: { id: string }) => account.id);
      };
      expect(await ids({ status: 'frozen' })).toEqual([second.id]);
      expect(await ids({ name: ' points ' })).toEqual([first.id]);
    });
  });

  test('an account that uses none of it sends no statement more', async () => {
    const sent: string[] = [];
    const ledger = new Ledger(watched(database.engine, sent));
    const opened = await ledger.execute(
      server.store,
      openCommand({
        customerId: uniqueName('cust'),
        name: 'default',
        unitLabel: 'credits',
        initialBalance: 5n,
      }),
    );
    if (opened.kind !== 'account') throw new Error('The account was refused.');
    sent.length = 0;
    const key = uniqueName('key');
    await ledger.execute(
      server.store,
      debitCommand({
        accountId: opened.account.id,
        amount: 1n,
        reference: 'test',
        key,
      }),
    );
    expect(verbsOf(sent)).toEqual([
      'begin isolation level',
      'select a.* from',
      expect.stringMatching(/^select /),
      'insert into tallystick.transactions',
      'insert into tallystick.entries',
      'update tallystick.accounts as',
      'commit',
    ]);
  });
});
