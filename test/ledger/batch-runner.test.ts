import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import type { Store } from '../../src/core/model.js';
import { creditCommand, extendCommand } from '../../src/ledger/commands.js';
import { Batcher, STORE_QUEUE_MAX } from '../../src/ledger/write/batcher.js';
import { UncertainError } from '../../src/ledger/write/commit.js';
import { BATCH_MAX } from '../../src/ledger/write/store-queue.js';
import type { Engine } from '../../src/store/engine/db.js';
import { newId } from '../../src/store/ids.js';

/** What becomes of commands where the database fails in a given way, without a database. */

const STORE = { id: newId() } as Store;
const LOST = Object.assign(new Error('It went away.'), { code: '08006' });

/** An engine on which each try of a batch fails with the next of some errors, and then works. */
function failing(errors: readonly unknown[], outcomes: readonly unknown[] = [{ kind: 'made' }]) {
  const tries = { count: 0 };
  const onLane = () => {
    const error = errors[tries.count++];
    return error === undefined ? Promise.resolve(outcomes) : Promise.reject(error);
  };
  return { tries, batcher: new Batcher({ lanes: 1, onLane } as unknown as Engine) };
}

const credit = () =>
  creditCommand({ accountId: newId(), amount: 1n, reference: 'r', key: newId() });

describe('where the answer to COMMIT was lost', () => {
  test.each<Command>([
    { kind: 'freeze', accountId: newId() },
    { kind: 'unfreeze', accountId: newId() },
    { kind: 'close', accountId: newId() },
    extendCommand(newId(), 1_000),
  ])('$kind is not tried again, for nothing would tell that it was done', async (command) => {
    const { batcher, tries } = failing([new UncertainError(LOST)]);
    const outcomes = await batcher.submit(STORE, [command]);
    expect(outcomes).toMatchObject([{ kind: 'refused', refusal: { code: 'unavailable' } }]);
    expect(tries.count).toBe(1);
  });

  test('of a batch only those are tried again whose keys tell', async () => {
    const { batcher, tries } = failing([new UncertainError(LOST)]);
    const freeze = batcher.submit(STORE, [{ kind: 'freeze', accountId: newId() }]);
    expect(await batcher.submit(STORE, [credit()])).toEqual([{ kind: 'made' }]);
    expect(await freeze).toMatchObject([{ kind: 'refused', refusal: { code: 'unavailable' } }]);
    expect(tries.count).toBe(2);
  });

  test('a credit is, for its key tells', async () => {
    const { batcher, tries } = failing([new UncertainError(LOST)]);
    expect(await batcher.submit(STORE, [credit()])).toEqual([{ kind: 'made' }]);
    expect(tries.count).toBe(2);
  });
});

test.each(['40001', '40P01', '23505'])('%s is tried again, and nobody is told', async (code) => {
  const { batcher, tries } = failing([Object.assign(new Error(code), { code })]);
  expect(await batcher.submit(STORE, [credit()])).toEqual([{ kind: 'made' }]);
  expect(tries.count).toBe(2);
});

test('of commands that went together the one at fault alone fails', async () => {
  const fault = new Error('It is the second.');
  const { batcher, tries } = failing([fault, undefined, fault]);
  const asked = [1, 2, 3].map(() => batcher.submit(STORE, [credit()]));
  const made = { status: 'fulfilled', value: [{ kind: 'made' }] };
  const failed = { status: 'rejected', reason: fault };
  expect(await Promise.allSettled(asked)).toEqual([made, failed, made]);
  expect(tries.count).toBe(4);
});

test('a store with more than goes into one batch lets another have its turn between', async () => {
  const other = { id: newId() } as Store;
  const { batcher } = failing([], Array(BATCH_MAX).fill({ kind: 'made' }));
  const order: string[] = [];
  const submit = (store: Store, name: string) =>
    batcher.submit(store, [credit()]).then(() => order.at(-1) !== name && order.push(name));
  const many = Array.from({ length: BATCH_MAX + 1 }, () => submit(STORE, 'many'));
  await Promise.all([...many, submit(other, 'one')]);
  expect(order).toEqual(['many', 'one', 'many']);
});

test('what needs an account that others wait for stands behind them', async () => {
  const accountId = newId();
  const of = () =>
    creditCommand({ accountId, amount: 1n, reference: 'r', key: newId() }) as Command;
  const tries: string[] = [];
  let free = (_: unknown) => {};
  const busy = [{ kind: 'busy', accountIds: [accountId] }];
  const batcher = new Batcher({
    lanes: 1,
    async onLane() {
      tries.push('lane');
      return busy;
    },
    onWaitingLane() {
      tries.push('waiting lane');
      return new Promise((resolve) => {
        free = resolve;
      });
    },
  } as unknown as Engine);
  const first = batcher.submit(STORE, [of()]);
  while (tries.length < 2) await new Promise((resolve) => setImmediate(resolve));
  const second = batcher.submit(STORE, [of()]);
  await new Promise((resolve) => setImmediate(resolve));
  free([{ kind: 'first' }]);
  expect(await first).toEqual([{ kind: 'first' }]);
  while (tries.length < 3) await new Promise((resolve) => setImmediate(resolve));
  free([{ kind: 'second' }]);
  expect(await second).toEqual([{ kind: 'second' }]);
  expect(tries).toEqual(['lane', 'waiting lane', 'waiting lane']);
});

test('who waits for accounts counts as waiting, so that a store cannot fill the line', async () => {
  const accountId = newId();
  const fields = { accountId, amount: 1n, reference: 'r' };
  const busy = { kind: 'busy', accountIds: [accountId] };
  const batcher = new Batcher({
    lanes: 1,
    onLane: async () => Array(BATCH_MAX).fill(busy),
    onWaitingLane: () => new Promise(() => {}),
  } as unknown as Engine);
  const submit = (store: Store) => batcher.submit(store, [creditCommand({ ...fields, key: 'k' })]);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  void submit(STORE);
  await turn();
  await turn();
  for (let n = 1; n < STORE_QUEUE_MAX; n++) void submit(STORE);
  const soon = (store: Store) => Promise.race([submit(store), turn()]);
  expect(await soon(STORE)).toMatchObject([{ refusal: { code: 'overloaded' } }]);
  expect(await soon({ id: newId() } as Store)).toBeUndefined();
});
