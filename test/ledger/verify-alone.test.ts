import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Terms } from '../../src/ledger/commands.js';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  reverseCommand,
  voidCommand,
} from '../../src/ledger/commands.js';
import { Ledger, type Store, sweepStore, verifyLedger } from '../../src/ledger/index.js';
import { newId } from '../../src/store/ids.js';
import { damaged } from '../harness/damage.js';
import { onEngines, type TestDatabase } from '../harness/engines.js';
import { createStore } from '../harness/store.js';

/**
 * Damage to grants, drawdowns and holds, each with all that `verify` reports of it. Most of it is
 * balanced by further damage, as a fault in the write path would do, so that one check sees it.
 */

const T0 = Date.UTC(2100, 0, 1);
const DAY = 86_400_000;

/** Grants are told by their amounts, transactions by their references, accounts by their names. */
const grant = (amount: number) =>
  `(select grant_id from tallystick.grants where amount = ${amount})`;
const transaction = (reference: string, operation: string) =>
  `(select transaction_id from tallystick.transactions
    where reference = '${reference}' and operation = '${operation}')`;
const changeAccount = (name: string, change: string) =>
  `update tallystick.accounts set ${change} where name = '${name}'`;
const changeGrant = (amount: number, change: string) =>
  `update tallystick.grants set ${change} where grant_id = ${grant(amount)}`;
const changeHold = (reference: string, change: string) =>
  `update tallystick.holds set ${change} where reference = '${reference}'`;
const drawdown = (reference: string, operation = 'debit') =>
  `where transaction_id = ${transaction(reference, operation)}`;
const changeDraw = (change: string, of: string) =>
  `update tallystick.drawdowns set ${change} ${of}`;
const removeDraw = (of: string) => `delete from tallystick.drawdowns ${of}`;
const addDraw = (reference: string, amount: number, value: number) =>
  `insert into tallystick.drawdowns select store_id, transaction_id, 0, ${grant(amount)}, ${value}
    from tallystick.transactions where reference = '${reference}'`;
const pins = (...parts: [amount: number | null, kept: number][]) =>
  `pins = jsonb_build_array(${parts
    .map(([amount, kept]) => `jsonb_build_array(${amount ? grant(amount) : null}, '${kept}')`)
    .join(', ')})`;
const twin = (amount: number) => `insert into tallystick.grants (store_id, grant_id, account_id,
    transaction_id, amount, remaining, priority, category, effective_at, created_at)
  select store_id, gen_random_uuid(), account_id, transaction_id, amount, remaining, priority,
    category, effective_at, created_at from tallystick.grants where grant_id = ${grant(amount)}`;

const REMAINING = ['grant_remaining_differs', 'pool_differs'];
const LEFT = ['free_in_grants_differs', ...REMAINING];

/** One value changed, or one row gone, and nothing beside it. */
const SINGLE: [what: string, kinds: string[], ...sql: string[]][] = [
  ['a drawdown is gone', [...REMAINING, 'pool_overdrawn'], removeDraw(drawdown('use'))],
  [
    'a drawdown is less',
    [...REMAINING, 'pool_overdrawn'],
    changeDraw('amount = 1', drawdown('use')),
  ],
  [
    'a drawdown is of the grant of another account',
    ['drawdown_misplaced', 'grant_remaining_differs'],
    changeDraw(`grant_id = ${grant(41)}`, drawdown('use')),
  ],
  [
    'a return is gone',
    [...REMAINING, 'reversal_not_returned'],
    removeDraw(drawdown('back', 'reverse')),
  ],
  ['a grant has less left', LEFT, changeGrant(50, 'remaining = remaining - 1')],
  ['a grant has more left', LEFT, changeGrant(50, 'remaining = remaining + 1')],
  [
    'a grant was larger',
    ['grant_remaining_differs', 'grant_without_credit', 'pool_differs', 'pool_overdrawn'],
    changeGrant(50, 'amount = amount + 1'),
  ],
  [
    'an expired grant has something left',
    ['free_in_grants_differs', 'grant_expired_counted', ...REMAINING, 'open_grants_differ'].sort(),
    changeGrant(6, 'remaining = 1'),
  ],
  ['a grant that expired never does', ['ended_early'], changeGrant(6, 'expires_at = null')],
  [
    'a grant that expired does so later',
    ['ended_early'],
    changeGrant(6, `expires_at = '2200-01-01'`),
  ],
  ['a voided grant is none', ['ended_early'], changeGrant(9, 'voided_at = null')],
  [
    'a grant names another void',
    ['void_not_linked'],
    changeGrant(9, `void_transaction_id = ${transaction('use', 'debit')}`),
  ],
  [
    'a grant names a void that took from another',
    ['void_not_linked'],
    changeGrant(50, `void_transaction_id = ${transaction('voided', 'void')}`),
  ],
  [
    'a grant has expired long ago',
    ['grant_expired_counted'],
    changeGrant(5, 'expires_at = created_at'),
  ],
  ['a grant was voided', ['grant_expired_counted'], changeGrant(5, 'voided_at = created_at')],
  ['a hold was larger', ['hold_amount_differs'], changeHold('held', 'amount = amount + 1')],
  [
    'a hold was captured more',
    ['hold_amount_differs'],
    changeHold('part', 'captured = captured + 1'),
  ],
  [
    'a hold keeps less',
    ['held_differs', 'hold_amount_differs', 'hold_pins_differ'],
    changeHold('held', 'remaining = remaining - 1'),
  ],
  [
    'a hold keeps less of a grant',
    ['grant_held_differs', 'hold_pins_differ'],
    changeHold('held', pins([40, 7])),
  ],
  [
    'a hold keeps a foreign grant',
    ['grant_held_differs', 'hold_pin_misplaced'],
    changeHold('held', pins([50, 8])),
  ],
  [
    'a hold keeps more of the pool',
    ['grant_held_differs', 'pool_held_twice'],
    changeHold('held', pins([null, 8])),
  ],
  [
    'more of a grant is held',
    LEFT.slice(0, 1).concat('grant_held_differs'),
    changeGrant(40, 'held = held + 1'),
  ],
  [
    'an account has more free in grants',
    LEFT.slice(0, 1),
    changeAccount('holds', 'free_in_grants = free_in_grants + 1'),
  ],
  ['a hold has ended', ['hold_expired_counted'], changeHold('held', 'expires_at = created_at')],
  ['an account holds more', ['held_differs'], changeAccount('holds', 'held = held + 1')],
  ['an account has more holds', ['open_holds_differ'], changeAccount('holds', 'open_holds = 7')],
  ['an account has more grants', ['open_grants_differ'], changeAccount('holds', 'open_grants = 7')],
  [
    'an account has no grants',
    ['has_grants_differs'],
    changeAccount('holds', 'has_grants = false'),
  ],
];

/** What holds keep of grants, and what accounts have free in them, as it follows from the rest. */
const COUNTED = [
  `update tallystick.grants as g set held = (select coalesce(sum((pin ->> 1)::numeric), 0)
    from tallystick.holds as h cross join lateral jsonb_array_elements(h.pins) as pin
    where h.status = 'open' and pin ->> 0 = g.grant_id::text)`,
  `update tallystick.accounts as a set free_in_grants = greatest(0,
    (select coalesce(sum(remaining - held), 0) from tallystick.grants as g
      where g.account_id = a.account_id and remaining > 0))`,
];

/** Damage whose sums agree, all but one. */
const BALANCED: [what: string, kinds: string[], ...sql: string[]][] = [
  [
    'what a debit drew from a grant is taken from a pool that did not have it',
    ['pool_overdrawn'],
    removeDraw(drawdown('use')),
    changeGrant(50, 'remaining = remaining + 30'),
  ],
  [
    'what a reversal returns goes to the pool',
    ['reversal_not_returned'],
    removeDraw(drawdown('back', 'reverse')),
    changeGrant(50, 'remaining = remaining - 3'),
  ],
  [
    'the reversal of a credit takes from the pool what it brought',
    ['reversal_not_returned'],
    removeDraw(drawdown('taken', 'reverse')),
    changeGrant(17, 'remaining = 17'),
    changeAccount('draws', 'open_grants = open_grants + 1'),
  ],
  [
    'an expiry takes from the pool, while a hold keeps the grant',
    ['ended_from_pool'],
    changeDraw('amount = amount - 2', `where grant_id = ${grant(6)}`),
    changeGrant(6, 'remaining = 2'),
    changeAccount('ends', 'open_grants = open_grants + 1'),
    changeHold('part', pins([20, 18], [6, 2])),
  ],
  [
    'one grant has what another lacks',
    ['grant_remaining_differs'],
    changeGrant(40, 'remaining = remaining + 1'),
    changeGrant(41, 'remaining = remaining - 1'),
  ],
  [
    'a debit draws from the grant of another account',
    ['drawdown_misplaced', 'pool_differs'],
    changeDraw(`grant_id = ${grant(41)}`, drawdown('use')),
    changeGrant(50, 'remaining = remaining + 30'),
    changeGrant(41, 'remaining = remaining - 30'),
  ],
  [
    'a debit draws more than it is',
    ['drawdowns_exceed_line'],
    changeDraw('amount = amount + 5', drawdown('use')),
    changeGrant(50, 'remaining = remaining - 5'),
  ],
  [
    'a credit draws',
    ['drawdown_of_wrong_sign'],
    addDraw('top up', 50, 3),
    changeGrant(50, 'remaining = remaining - 3'),
  ],
  [
    'a credit returns',
    ['return_not_of_draw'],
    addDraw('top up', 50, -3),
    changeGrant(50, 'remaining = remaining + 3'),
  ],
  [
    'a credit made two grants',
    ['credit_granted_twice'],
    twin(5),
    changeAccount('pool', 'open_grants = open_grants + 1'),
  ],
  [
    'a hold keeps more of a grant than there is',
    ['grant_held_twice'],
    changeHold('held', `amount = 48, remaining = 48, ${pins([40, 48])}`),
    changeAccount('holds', 'held = held + 40'),
  ],
];

/** What the accounts of one store go through, in few words. */
class Script {
  constructor(
    readonly ledger: Ledger,
    readonly store: Store,
  ) {}

  async open(name: string, initialBalance: bigint): Promise<string> {
    const fields = { customerId: 'c', name, unitLabel: 'u', initialBalance };
    const outcome = await this.ledger.execute(this.store, openCommand(fields));
    if (outcome.kind !== 'account') throw new Error(outcome.kind);
    return outcome.account.id;
  }

  async credit(accountId: string, reference: string, amount: bigint, terms?: Terms) {
    const movement = { accountId, reference, amount, key: newId(), terms };
    const outcome = await this.ledger.execute(this.store, creditCommand(movement));
    if (outcome.kind !== 'transaction') throw new Error(outcome.kind);
    return outcome.transaction.id;
  }

  async debit(accountId: string, reference: string, amount: bigint): Promise<string> {
    const movement = { accountId, reference, amount, key: newId() };
    const outcome = await this.ledger.execute(this.store, debitCommand(movement));
    if (outcome.kind !== 'transaction') throw new Error(outcome.kind);
    return outcome.transaction.id;
  }

  async hold(accountId: string, reference: string, amount: bigint): Promise<string> {
    const fields = { accountId, reference, amount, key: newId(), expiresInMs: 30 * DAY };
    const outcome = await this.ledger.execute(this.store, holdCommand(fields));
    if (outcome.kind !== 'hold') throw new Error(outcome.kind);
    return outcome.hold.id;
  }
}

async function fill(ledger: Ledger): Promise<void> {
  const store = await createStore(ledger.engine);
  const script = new Script(ledger, store);
  await ledger.setClock(store, T0);

  const draws = await script.open('draws', 0n);
  await script.credit(draws, 'allowance', 50n, {});
  await script.debit(draws, 'use', 30n);
  await ledger.execute(store, reverseCommand(await script.debit(draws, 'back', 3n)));
  await script.credit(draws, 'top up', 100n);
  await ledger.execute(store, reverseCommand(await script.credit(draws, 'taken', 17n, {})));

  const holds = await script.open('holds', 3n);
  for (const amount of [40n, 41n]) {
    await script.credit(holds, 'allowance', amount, { priority: 0 });
  }
  await script.debit(holds, 'spent', 2n);
  await script.hold(holds, 'held', 8n);

  const pool = await script.open('pool', 100n);
  await script.credit(pool, 'bonus', 5n, {});

  const ends = await script.open('ends', 10n);
  await script.credit(ends, 'short', 20n, { expiresAt: T0 + DAY });
  const captured = await script.hold(ends, 'part', 22n);
  const capture = { holdId: captured, amount: 2n, overage: 'refuse', final: false } as const;
  await ledger.execute(store, captureCommand({ ...capture, key: newId() }));
  await script.credit(ends, 'shorter', 6n, { expiresAt: T0 + DAY });
  const voided = await script.credit(ends, 'voided', 9n, {});
  const { rows } = await ledger.engine.reader.query(
    'select grant_id from tallystick.grants where transaction_id = $1',
    [voided],
  );
  await ledger.execute(store, voidCommand(rows[0].grant_id));
  await ledger.setClock(store, T0 + 2 * DAY);
  await sweepStore(ledger, store);
  await script.credit(ends, 'after', 1n);
}

onEngines((engine) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await engine.create();
    await fill(new Ledger(database.engine));
  });
  afterAll(() => database.drop());

  const kindsOf = async (...sql: string[]) => {
    const { differences } = await verifyLedger(damaged(database.engine, sql));
    return differences.map(({ kind }) => kind).sort();
  };

  test('without damage there is nothing to report', async () => {
    expect(await kindsOf()).toEqual([]);
  });

  test.each(SINGLE)('reports that %s', async (_, kinds, ...sql) => {
    expect(await kindsOf(...sql)).toEqual(kinds);
  });

  test.each(BALANCED)('reports that %s', async (_, kinds, ...sql) => {
    expect(await kindsOf(...sql, ...COUNTED)).toEqual(kinds);
  });
});
