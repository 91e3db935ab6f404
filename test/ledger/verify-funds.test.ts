import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import { Ledger, verifyLedger } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { damaged } from '../harness/damage.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/**
 * Each thing that `verify` proves of grants and holds is broken on purpose and must be reported.
 * The damage is done in a transaction in which `verify` runs too, and which is then undone.
 */

const OF = (operation: string) =>
  `transaction_id = (select transaction_id from tallystick.transactions
    where operation = '${operation}' limit 1)`;
/** An id that nothing has. */
const NOBODY = '00000000-0000-7000-8000-000000000000';
const DRAW = `update tallystick.drawdowns set`;
const GRANT = `update tallystick.grants set`;

const DAMAGE: [kind: string, sql: string][] = [
  ['held_differs', 'update tallystick.accounts set held = held + 1'],
  ['free_in_grants_differs', 'update tallystick.accounts set free_in_grants = free_in_grants + 1'],
  ['open_holds_differ', 'update tallystick.accounts set open_holds = open_holds + 1'],
  ['open_grants_differ', 'update tallystick.accounts set open_grants = open_grants + 1'],
  ['pool_negative', `${GRANT} amount = 9999, remaining = 9999`],
  ['grant_without_credit', `${GRANT} amount = amount + 1`],
  ['grant_without_credit', `${GRANT} transaction_id = '${NOBODY}'`],
  ['grant_without_credit', `${GRANT} account_id = '${NOBODY}'`],
  ['grant_remaining_differs', `${GRANT} remaining = remaining - 1`],
  ['grant_remaining_differs', `delete from tallystick.drawdowns where ${OF('capture')}`],
  ['grant_held_differs', `${GRANT} held = held + 1`],
  ['grant_held_twice', `${GRANT} remaining = 0`],
  ['grant_expired_counted', `${GRANT} expires_at = '2001-01-01'`],
  ['hold_pins_differ', `update tallystick.holds set pins = '[]' where status = 'open'`],
  ['hold_pins_differ', `update tallystick.holds set remaining = 1 where status = 'open'`],
  ['hold_without_account', `update tallystick.holds set account_id = '${NOBODY}'`],
  ['drawdown_misplaced', `${DRAW} grant_id = '${NOBODY}' where ${OF('debit')}`],
  ['drawdown_misplaced', `${DRAW} line = 1 where ${OF('debit')}`],
  ['drawdowns_exceed_line', `${DRAW} amount = amount + 100 where ${OF('debit')}`],
  ['drawdown_of_wrong_sign', `${DRAW} amount = -amount where ${OF('debit')}`],
  ['drawn_outside_life', `${GRANT} expires_at = created_at`],
  ['drawn_outside_life', `${GRANT} effective_at = '2999-01-01'`],
  ['return_not_of_draw', `${DRAW} amount = amount + 1 where ${OF('reverse')}`],
];

async function fill(ledger: Ledger): Promise<void> {
  const store = await createStore(ledger.engine);
  const fields = { customerId: 'c', name: 'a', unitLabel: 'u', initialBalance: 10n };
  const opened = await ledger.execute(store, openCommand(fields));
  if (opened.kind !== 'account') throw new Error(opened.kind);
  const of = () => ({ accountId: opened.account.id, reference: 'r', key: newId() });
  await ledger.execute(store, creditCommand({ ...of(), amount: 50n, terms: { priority: 0 } }));
  const debit = await ledger.execute(store, debitCommand({ ...of(), amount: 7n }));
  if (debit.kind === 'transaction')
    await ledger.execute(store, reverseCommand(debit.transaction.id));
  for (const amount of [undefined, 2n]) {
    const command = holdCommand({ ...of(), amount: 5n, expiresInMs: 3_600_000 });
    await ledger.execute(store, command);
    const rest = { amount, overage: 'refuse', final: amount === undefined } as const;
    await ledger.execute(store, captureCommand({ holdId: command.holdId, ...rest, key: newId() }));
  }
}

onEngines((engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create();
    await fill(new Ledger(database.engine));
  });
  afterAll(() => database.drop());

  test('a sound ledger is clean', async () => {
    expect((await verifyLedger(database.engine)).differences).toEqual([]);
  });

  test.each(DAMAGE)('reports %s', async (kind, sql) => {
    const { differences } = await verifyLedger(damaged(database.engine, [sql]));
    expect(differences.map((found) => found.kind)).toContain(kind);
  });
});
