import type { MoveCommand, PostCommand } from '../../src/core/command.js';
import { decide } from '../../src/core/decide/decide.js';
import type { Uuid } from '../../src/core/id.js';
import {
  type Account,
  type Entry,
  remarksOf,
  type Store,
  type Transaction,
} from '../../src/core/model.js';
import { nameOwnerKey, type State } from '../../src/core/state.js';

/** States and commands with every field filled in, so that a test says only what matters to it. */

export const NOW = 1_000;
export const ids = (number: number): Uuid =>
  `00000000-0000-7000-8000-${number.toString().padStart(12, '0')}`;

export const STORE: Store = {
  id: ids(1),
  name: 'default',
  mode: 'test',
  issuanceId: ids(2),
  redemptionId: ids(3),
  breakageId: ids(4),
};
export const A = ids(10);
export const B = ids(11);
export const C = ids(12);
export const NOBODY = ids(99);
export const PRINT = ids(70);
export const NEW = ids(50);

export function account(fields: Partial<Account> = {}): Account {
  return {
    id: A,
    customerId: 'cust_1',
    name: 'default',
    unitLabel: 'credits',
    status: 'active',
    balance: 0n,
    version: 0,
    createdAt: 10,
    updatedAt: 10,
    postedAt: 10,
    held: 0n,
    freeInGrants: 0n,
    openGrants: 0,
    openHolds: 0,
    hasGrants: false,
    metadata: null,
    ...fields,
  };
}

export function state(accounts: Account[], rest: Partial<State> = {}): State {
  return {
    store: STORE,
    now: NOW,
    newId: counter(),
    grants: new Map(),
    holds: new Map(),
    pending: new Map(),
    holdKeys: new Map(),
    accounts: new Map(accounts.map((one) => [one.id, one])),
    keys: new Map(),
    names: new Map(accounts.map((one) => [nameOwnerKey(one.customerId, one.name), one])),
    originals: new Map(),
    ...rest,
  };
}

function counter(): () => Uuid {
  let made = 1_000;
  return () => ids(made++);
}

export function move(kind: 'credit' | 'debit', amount: bigint, accountId = A): MoveCommand {
  return {
    kind,
    accountId,
    amount,
    terms: undefined,
    remarks: remarksOf({ reference: 'order_1' }),
    key: 'key_1',
    transactionId: NEW,
    fingerprint: PRINT,
  };
}

export function post(...lines: [accountId: Uuid, amount: bigint][]): PostCommand {
  const postings = lines.map(([accountId, amount]) => ({ accountId, amount }));
  return {
    kind: 'post',
    postings,
    remarks: remarksOf({ reference: 'order_1' }),
    key: 'key_1',
    transactionId: NEW,
    fingerprint: PRINT,
  };
}

export function original(fields: Partial<Transaction>, ...lines: Partial<Entry>[]): Transaction {
  return {
    id: ids(40),
    operation: 'credit',
    ...remarksOf({ reference: 'order_0' }),
    key: 'key_0',
    fingerprint: ids(71),
    reversalOf: null,
    createdAt: 20,
    drawdowns: [],
    holdId: null,
    entries: lines.map((line, index) => ({
      line: index,
      accountId: A,
      amount: 1n,
      seq: 1,
      balanceAfter: 1n,
      ...line,
    })),
    ...fields,
  };
}

/** The code of the refusal, or the kind of the decision where there is none. */
export function verdict(...args: Parameters<typeof decide>): string {
  const decision = decide(...args);
  return decision.kind === 'refused' ? decision.refusal.code : decision.kind;
}

export function postedBy(...args: Parameters<typeof decide>) {
  const decision = decide(...args);
  if (decision.kind !== 'posted') throw new Error(`It came to ${verdict(...args)}.`);
  return decision;
}
