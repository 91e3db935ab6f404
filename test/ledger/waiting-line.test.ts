import { expect, test } from 'vitest';
import type { Command } from '../../src/core/command.js';
import { refuse } from '../../src/core/errors.js';
import type { Store } from '../../src/core/model.js';
import type { SetAside } from '../../src/ledger/write/batch-runner.js';
import { Pending } from '../../src/ledger/write/pending.js';
import { WaitingLine } from '../../src/ledger/write/waiting-line.js';
import { newId } from '../../src/store/ids.js';

/** In which order those are tried again that wait for locked accounts. */

const STORE = { id: newId() } as Store;

function waiting(accountId: string, together = false): SetAside {
  const commands = [{ kind: 'debit', accountId } as Command];
  const fields = { store: STORE, commands, atomic: together, together, partition: 0 };
  return { pending: new Pending(fields), accountIds: [accountId] };
}

/**
 * Lets some wait together in a line, and notes what is waited for and who is tried, by place.
 *
 * @param locked says of each try, from 0 on, whether all accounts are still locked.
 */
async function tried(all: readonly SetAside[], locked: (nth: number) => boolean) {
  const tries: [waitFor: string, ...places: number[]][] = [];
  const line = new WaitingLine(async (_, batch, waitFor) => {
    const places = batch.map((one) => all.findIndex(({ pending }) => pending === one));
    const isLocked = locked(tries.length);
    tries.push([waitFor.join(), ...places]);
    return isLocked ? places.map((place) => all[place]!) : [];
  });
  line.add(STORE, all);
  while (!line.idle) await new Promise((resolve) => setImmediate(resolve));
  return tries;
}

test('each account is waited for in turn, and all others are tried in between', async () => {
  const all = [waiting('a'), waiting('b'), waiting('a'), waiting('c')];
  expect(await tried(all, (nth) => nth < 6)).toEqual([
    ['a', 0, 2],
    ['', 1, 3],
    ['b', 1],
    ['', 3, 0, 2],
    ['c', 3],
    ['', 0, 2, 1],
    ['a', 0, 2],
    ['', 1, 3],
  ]);
});

test('what must be alone is tried alone', async () => {
  const all = [waiting('a'), waiting('a', true), waiting('b'), waiting('a')];
  expect(await tried(all, () => false)).toEqual([
    ['a', 0, 3],
    ['', 2],
    ['', 1],
  ]);
});

test('whoever has been answered meanwhile is not tried again', async () => {
  const all = [waiting('a'), waiting('a')];
  const tries = await tried(all, (nth) => {
    if (nth === 0) all[0]!.pending.refuse(refuse('account_busy', 'It took too long.'));
    return nth === 0;
  });
  expect(tries).toEqual([
    ['a', 0, 1],
    ['a', 1],
  ]);
});
