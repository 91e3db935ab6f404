import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Uuid } from '../../src/core/id.js';
import {
  creditCommand,
  debitCommand,
  openCommand,
  postCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store } from '../../src/ledger/index.js';
import { BATCH_MAX, partitionOf } from '../../src/ledger/write/store-queue.js';
import { newId } from '../../src/store/ids.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';
import { expectSound } from '../harness/verify.js';

/** A store's accounts are spread over partitions, which nobody must notice but by the time. */

onEngines((engine) => {
  describe('partitions', () => {
    let database: TestDatabase;
    let ledger: Ledger;
    let store: Store;
    /** How many batches are in the database now, and the most there were. */
    let inFlight = 0;
    let most = 0;

    beforeAll(async () => {
      database = await engine.create();
      const { onLane, ...rest } = database.engine;
      ledger = new Ledger({
        ...rest,
        onLane: async (work) => {
          most = Math.max(most, ++inFlight);
          try {
            return await onLane(work);
          } finally {
            inFlight--;
          }
        },
      });
      store = await createStore(database.engine);
    });
    afterAll(async () => {
      await expectSound(database.engine.reader);
      await database.drop();
    });

    async function open(initialBalance: bigint): Promise<Uuid> {
      const fields = { customerId: 'c', name: newId(), unitLabel: 'u', initialBalance };
      const opened = await ledger.execute(store, openCommand(fields));
      if (opened.kind !== 'account') throw new Error(opened.kind);
      return opened.account.id;
    }

    /** Accounts of which the first ones are of different partitions. */
    async function openApart(initialBalance: bigint): Promise<[Uuid, Uuid]> {
      const first = await open(initialBalance);
      for (;;) {
        const other = await open(initialBalance);
        const [a, b] = [first, other].map((id) => partitionOf(debit(id), 2));
        if (a !== b) return [first, other];
      }
    }

    const debit = (accountId: Uuid, key: string = newId(), amount = 1n) =>
      debitCommand({ accountId, amount, reference: key, key });
    const credit = (accountId: Uuid, amount: bigint) =>
      creditCommand({ accountId, amount, reference: 'r', key: newId() });

    /** What became of each command: its reference, or why it was refused. */
    async function run(commands: Parameters<Ledger['executeAll']>[1]): Promise<string[]> {
      most = 0;
      const outcomes = await ledger.executeAll(store, commands, false);
      return outcomes.map((outcome) => {
        if (outcome.kind === 'refused') return outcome.refusal.code;
        return outcome.kind === 'transaction' ? outcome.transaction.reference : outcome.kind;
      });
    }

    test('answer a long list in its order, whichever of them was first', async () => {
      // Of eight at random all are of one partition once in 128 times.
      const others = Array.from({ length: 6 }, () => open(1_000n));
      const accounts = [...(await openApart(1_000n)), ...(await Promise.all(others))];
      const commands = Array.from({ length: BATCH_MAX + 100 }, (_, n) =>
        debit(accounts[n % 8]!, `n${n}`),
      );
      const expected = commands.map(({ key }) => key);
      expect(await run(commands)).toEqual(expected);
      expect(most).toBe(ledger.engine.lanes);
    });

    test('do not go apart for a few', async () => {
      const [first, other] = await openApart(1_000n);
      const commands = Array.from({ length: BATCH_MAX }, (_, n) =>
        debit(n % 2 === 0 ? first : other),
      );
      await run(commands);
      expect(most).toBe(1);
    });

    test('keep the order of what names several accounts', async () => {
      const [first, other] = await openApart(0n);
      const postings = [
        { accountId: first, amount: 5n },
        { accountId: other, amount: -5n },
      ];
      const post = postCommand({ postings, reference: 'post', key: newId() });
      // By partitions the transaction would come before the credit that covers it.
      const commands = [debit(first), credit(other, 5n), post];
      expect(await run(commands)).toEqual(['insufficient_balance', 'r', 'post']);
    });

    test('leave a key to the first that sends it', async () => {
      const [first, other] = await openApart(1_000n);
      const commands = [debit(first, 'a'), debit(other, 'b'), debit(first, 'b')];
      expect(await run(commands)).toEqual(['a', 'b', 'idempotency_key_mismatch']);
    });

    test('keep the order of one account', async () => {
      const accountId = await open(0n);
      const outcomes = await run([debit(accountId), credit(accountId, 1n), debit(accountId, 'd')]);
      expect(outcomes).toEqual(['insufficient_balance', 'r', 'd']);
    });
  });
});
