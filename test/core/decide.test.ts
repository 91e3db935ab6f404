import { describe, expect, test } from 'vitest';
import { AMOUNT_MAX } from '../../src/core/amount.js';
import type { OpenCommand, ReverseCommand, StatusCommand } from '../../src/core/command.js';
import { decide } from '../../src/core/decide/decide.js';
import { formatId } from '../../src/core/id.js';
import { type KeyHolder, nameOwnerKey } from '../../src/core/state.js';
import {
  A,
  account,
  B,
  C,
  ids,
  move,
  NEW,
  NOBODY,
  NOW,
  original,
  PRINT,
  post,
  postedBy,
  STORE,
  state,
  verdict,
} from './world.js';

const HELD: KeyHolder = { transactionId: ids(60), fingerprint: PRINT };
const OTHERWISE: KeyHolder = { transactionId: ids(60), fingerprint: ids(72) };
const holding = (holder: KeyHolder, key = 'key_1') => ({ keys: new Map([[key, holder]]) });

describe('credit and debit, in order of precedence', () => {
  // Each row has every fault of the rows below it too, so that only the order decides.
  const broke = account({ status: 'closed' });
  test.each([
    ['account_not_found', state([], holding(OTHERWISE)), move('debit', 1n)],
    ['idempotency_key_mismatch', state([broke], holding(OTHERWISE)), move('debit', 1n)],
    ['account_closed', state([broke]), move('debit', 1n)],
    ['account_frozen', state([account({ status: 'frozen' })]), move('debit', 1n)],
    ['insufficient_balance', state([account()]), move('debit', 1n)],
    ['balance_limit_exceeded', state([account({ balance: AMOUNT_MAX })]), move('credit', 1n)],
    ['posted', state([account({ balance: AMOUNT_MAX - 1n })]), move('credit', 1n)],
    ['posted', state([account({ balance: 1n })]), move('debit', 1n)],
  ] as const)('%s', (expected, given, command) => {
    expect(verdict(given, command)).toBe(expected);
  });

  test.each(['active', 'frozen', 'closed'] as const)('a replay answers, %s or not', (status) => {
    const decision = decide(state([account({ status })], holding(HELD)), move('debit', 1n));
    expect(decision).toEqual({ kind: 'found', transactionId: ids(60), replayed: true });
  });

  test('a command that finds its own transaction is told of it as new', () => {
    const own = { transactionId: NEW, fingerprint: PRINT };
    const decision = decide(state([account()], holding(own)), move('debit', 1n));
    expect(decision).toEqual({ kind: 'found', transactionId: NEW, replayed: false });
  });

  test.each([
    ['credit', 7n, STORE.issuanceId, 12n],
    ['debit', 3n, STORE.redemptionId, 2n],
  ] as const)('%s posts both lines', (kind, amount, counterpart, balanceAfter) => {
    const given = state([account({ balance: 5n, version: 4 })]);
    const { transaction, changes } = postedBy(given, move(kind, amount));
    const signed = kind === 'credit' ? amount : -amount;
    expect(transaction).toMatchObject({
      id: NEW,
      operation: kind,
      reference: 'order_1',
      key: 'key_1',
      fingerprint: PRINT,
      reversalOf: null,
      createdAt: NOW,
      entries: [
        { line: 0, accountId: A, amount: signed, seq: 5, balanceAfter },
        { line: 1, accountId: counterpart, amount: -signed, seq: null, balanceAfter: null },
      ],
    });
    expect(changes.accounts).toEqual([
      account({ balance: balanceAfter, version: 5, postedAt: NOW }),
    ]);
  });

  test('time does not run backwards within an account', () => {
    const given = state([account({ balance: 5n, postedAt: NOW + 7 })]);
    expect(postedBy(given, move('debit', 1n)).transaction.createdAt).toBe(NOW + 7);
  });
});

describe('post, in order of precedence', () => {
  const closed = account({ id: B, status: 'closed' });
  const frozen = account({ id: B, status: 'frozen' });
  const rich = account({ balance: 100n });
  test.each([
    ['account_not_found', state([rich], holding(OTHERWISE)), post([A, -2n], [NOBODY, 1n])],
    [
      'idempotency_key_mismatch',
      state([rich, closed], holding(OTHERWISE)),
      post([A, -2n], [B, 1n]),
    ],
    ['found', state([rich, closed], holding(HELD)), post([A, -2n], [B, 1n])],
    ['account_closed', state([account({ status: 'frozen' }), closed]), post([A, -2n], [B, 1n])],
    ['account_frozen', state([rich, frozen]), post([A, -2n], [B, 1n])],
    ['unbalanced_transaction', state([account(), account({ id: B })]), post([A, -2n], [B, 1n])],
    [
      'insufficient_balance',
      state([account(), account({ id: B, balance: AMOUNT_MAX })]),
      post([A, -1n], [B, 1n]),
    ],
    [
      'balance_limit_exceeded',
      state([rich, account({ id: B, balance: AMOUNT_MAX })]),
      post([A, -1n], [B, 1n]),
    ],
    ['posted', state([rich, account({ id: B })]), post([A, -100n], [B, 100n])],
  ] as const)('%s', (expected, given, command) => {
    expect(verdict(given, command)).toBe(expected);
  });

  test('a missing account is named by its line', () => {
    const decision = decide(state([rich]), post([A, -1n], [NOBODY, 1n]));
    expect(decision).toMatchObject({ refusal: { blamed: { of: 'account', posting: 1 } } });
  });

  test('a line that cannot be covered is named by its place, and so is one that is too large', () => {
    const short = decide(state([rich, account({ id: B })]), post([A, 1n], [B, -1n]));
    expect(short).toMatchObject({ refusal: { blamed: { of: 'amount', posting: 1 } } });
    const full = account({ id: B, balance: AMOUNT_MAX });
    const large = decide(state([rich, full]), post([A, -1n], [B, 1n]));
    expect(large).toMatchObject({ refusal: { blamed: { of: 'amount', posting: 1 } } });
  });

  test.each([
    ['the net is covered', 0n, post([A, -5n], [A, 5n]), 'posted'],
    ['the net is covered, debit first', 3n, post([A, -8n], [A, 5n], [B, 3n]), 'posted'],
    ['the net is not covered', 2n, post([A, 5n], [A, -8n], [B, 3n]), 'insufficient_balance'],
    ['the gross is too large', AMOUNT_MAX, post([A, -1n], [A, 1n]), 'balance_limit_exceeded'],
  ] as const)('same account twice: %s', (_, balance, command, expected) => {
    expect(verdict(state([account({ balance }), account({ id: B })]), command)).toBe(expected);
  });

  test('credits take their places before debits, and lines keep their order', () => {
    const given = state([account({ version: 9 }), account({ id: B, balance: 4n })]);
    const { transaction } = postedBy(given, post([A, -5n], [B, -1n], [A, 6n]));
    expect(transaction.entries).toEqual([
      { line: 0, accountId: A, amount: -5n, seq: 11, balanceAfter: 1n },
      { line: 1, accountId: B, amount: -1n, seq: 1, balanceAfter: 3n },
      { line: 2, accountId: A, amount: 6n, seq: 10, balanceAfter: 6n },
    ]);
  });

  test('the latest of its accounts sets the time', () => {
    const given = state([
      account({ balance: 1n, postedAt: NOW + 3 }),
      account({ id: B, postedAt: NOW + 9 }),
    ]);
    const { transaction, changes } = postedBy(given, post([A, -1n], [B, 1n]));
    expect(transaction.createdAt).toBe(NOW + 9);
    expect(changes.accounts.map(({ postedAt }) => postedAt)).toEqual([NOW + 9, NOW + 9]);
  });
});

describe('reverse, in order of precedence', () => {
  const credit = original(
    {},
    { amount: 5n },
    { accountId: STORE.issuanceId, amount: -5n, seq: null },
  );
  const reversal = original({ operation: 'reverse', reversalOf: ids(39) }, { amount: 5n });
  const key = `reversal:${formatId('transaction', credit.id)}`;
  const reverse = (accountId?: string): ReverseCommand => ({
    kind: 'reverse',
    originalId: credit.id,
    accountId,
    transactionId: NEW,
    fingerprint: PRINT,
  });
  const of = (transaction: typeof credit) => ({
    originals: new Map([[transaction.id, transaction]]),
  });
  test.each([
    ['account_not_found', state([]), reverse(NOBODY)],
    ['transaction_not_found', state([account()]), reverse()],
    ['transaction_not_found', state([account(), account({ id: C })], of(credit)), reverse(C)],
    [
      'found',
      state([account({ status: 'closed' })], { ...of(credit), ...holding(HELD, key) }),
      reverse(A),
    ],
    ['transaction_not_reversible', state([account({ status: 'closed' })], of(reversal)), reverse()],
    ['account_closed', state([account({ status: 'closed' })], of(credit)), reverse()],
    ['account_frozen', state([account({ status: 'frozen' })], of(credit)), reverse()],
    ['insufficient_balance', state([account({ balance: 4n })], of(credit)), reverse()],
    [
      'balance_limit_exceeded',
      state([account({ balance: AMOUNT_MAX })], of(original({}, { amount: -1n }))),
      reverse(),
    ],
    ['posted', state([account({ balance: 5n })], of(credit)), reverse(A)],
  ] as const)('%s', (expected, given, command) => {
    expect(verdict(given, command)).toBe(expected);
  });

  test('it mirrors every line, keeps the reference and has a key of its own', () => {
    const { transaction } = postedBy(state([account({ balance: 5n })], of(credit)), reverse());
    expect(transaction).toMatchObject({ reference: 'order_0', key, reversalOf: credit.id });
    expect(transaction.entries.map(({ accountId, amount }) => [accountId, amount])).toEqual([
      [A, -5n],
      [STORE.issuanceId, 5n],
    ]);
  });

  test('a repeat is a replay', () => {
    const given = state([account()], { ...of(credit), ...holding(OTHERWISE, key) });
    expect(decide(given, reverse())).toMatchObject({ kind: 'found', replayed: true });
  });
});

describe('freeze, unfreeze and close', () => {
  test.each([
    ['freeze', 'active', 'frozen'],
    ['freeze', 'frozen', 'account_frozen'],
    ['freeze', 'closed', 'account_closed'],
    ['unfreeze', 'active', 'account_not_frozen'],
    ['unfreeze', 'frozen', 'active'],
    ['unfreeze', 'closed', 'account_closed'],
    ['close', 'active', 'closed'],
    ['close', 'frozen', 'closed'],
    ['close', 'closed', 'account_closed'],
  ] as const)('%s on %s: %s', (kind, status, expected) => {
    const command: StatusCommand = { kind, accountId: A };
    const decision = decide(state([account({ status, balance: 3n })]), command);
    if (decision.kind === 'refused') expect(decision.refusal.code).toBe(expected);
    else {
      const updated = account({ status: expected as 'active', balance: 3n, updatedAt: NOW });
      expect(decision).toMatchObject({ kind: 'account', account: updated });
    }
  });

  test.each(['freeze', 'unfreeze', 'close'] as const)('%s of nothing', (kind) => {
    expect(verdict(state([]), { kind, accountId: NOBODY })).toBe('account_not_found');
  });
});

describe('open', () => {
  const open = (fields: Partial<OpenCommand> = {}): OpenCommand => ({
    kind: 'open',
    accountId: A,
    customerId: 'cust_1',
    name: ' AI Credits ',
    unitLabel: 'credits',
    initialBalance: 0n,
    terms: undefined,
    metadata: null,
    transactionId: NEW,
    fingerprint: PRINT,
    ...fields,
  });

  test('without a seed there is no transaction', () => {
    const fresh = { name: 'AI Credits', createdAt: NOW, updatedAt: NOW, postedAt: NOW };
    expect(decide(state([]), open())).toMatchObject({
      kind: 'opened',
      account: account(fresh),
      changes: { transactions: [] },
    });
  });

  test('with a seed, its first entry is there', () => {
    const decision = decide(state([]), open({ initialBalance: 50n }));
    expect(decision).toMatchObject({
      kind: 'opened',
      account: { balance: 50n, version: 1 },
      changes: {
        transactions: [
          {
            id: NEW,
            reference: 'initial_balance',
            key: `initial_balance:${formatId('account', A)}`,
            entries: [
              { accountId: A, amount: 50n, seq: 1, balanceAfter: 50n },
              { accountId: STORE.issuanceId, amount: -50n, seq: null },
            ],
          },
        ],
      },
    });
  });

  const taken = (status: 'active' | 'closed', id = B) => {
    const owner = account({ id, name: 'ai CREDITS', status });
    return state([], { names: new Map([[nameOwnerKey('cust_1', owner.name), owner]]) });
  };
  test.each(['active', 'closed'] as const)('a name stays taken by a %s account', (status) => {
    expect(verdict(taken(status), open())).toBe('account_name_taken');
  });

  test('another customer may use the name', () => {
    expect(verdict(taken('active'), open({ customerId: 'cust_2' }))).toBe('opened');
  });

  test('an earlier try of this very command is recognised', () => {
    expect(verdict(taken('active', A), open())).toBe('account');
  });
});
