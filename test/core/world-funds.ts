import type {
  CaptureCommand,
  Command,
  GrantTerms,
  HoldCommand,
  MoveCommand,
} from '../../src/core/command.js';
import type { Funds } from '../../src/core/funds/funds.js';
import { compareUse, freeOf, type Position, sumOf } from '../../src/core/funds/funds.js';
import { positionOf } from '../../src/core/funds/position.js';
import type { Uuid } from '../../src/core/id.js';
import {
  type Account,
  type Grant,
  type Hold,
  type Part,
  remarksOf,
  type Transaction,
} from '../../src/core/model.js';
import type { Decision, KeyHolder } from '../../src/core/state.js';
import { Batch } from '../../src/ledger/write/batch.js';
import { A, account, ids, STORE } from './world.js';

/** Grants and holds with every field filled in, and an account that lives through time. */

export const H = ids(300);

export function grant(fields: Partial<Grant> = {}): Grant {
  const amount = fields.amount ?? fields.remaining ?? 10n;
  return {
    id: ids(200),
    accountId: A,
    transactionId: ids(150),
    amount,
    remaining: amount,
    held: 0n,
    priority: 50,
    category: 'paid',
    effectiveAt: 20,
    expiresAt: null,
    voidedAt: null,
    announcedAt: null,
    createdAt: 20,
    ...fields,
  };
}

export function hold(fields: Partial<Hold> = {}): Hold {
  const amount = fields.amount ?? 5n;
  return {
    id: H,
    accountId: A,
    amount,
    remaining: amount,
    captured: 0n,
    status: 'open',
    reference: 'job_1',
    key: 'hold_1',
    fingerprint: ids(72),
    pins: [{ grantId: null, amount }],
    expiresAt: 2_000,
    createdAt: 30,
    updatedAt: 30,
    ...fields,
  };
}

export function funds(pool: bigint, grants: readonly Grant[], holds: readonly Hold[] = []): Funds {
  const open = grants.filter(({ remaining }) => remaining > 0n);
  const kept = holds.filter(({ status }) => status === 'open');
  const pins = kept.flatMap((one) => one.pins);
  const own = grants.map((one) => ({
    ...one,
    held: sumOf(pins.filter(({ grantId }) => grantId === one.id)),
  }));
  return {
    account: account({
      balance: grants.reduce((sum, { remaining }) => sum + remaining, pool),
      held: kept.reduce((sum, { remaining }) => sum + remaining, 0n),
      freeInGrants: own.reduce((sum, one) => sum + freeOf(one), 0n),
      openGrants: open.length,
      openHolds: kept.length,
      hasGrants: grants.length > 0,
    }),
    grants: own.sort(compareUse),
    holds,
  };
}

/** An account and what became of it: every command is a batch of its own, at its own instant. */
export class Life {
  readonly transactions: Transaction[] = [];
  readonly accounts: Map<Uuid, Account>;
  readonly grants: Map<Uuid, Map<Uuid, Grant>>;
  readonly holds: Map<Uuid, Map<Uuid, Hold>>;
  readonly keys = new Map<string, KeyHolder>();
  readonly holdKeys: Map<string, Hold>;
  #made = 1_000;

  constructor({ account: first, grants, holds }: Funds = funds(0n, [])) {
    this.accounts = new Map([[first.id, first]]);
    this.grants = new Map([[first.id, new Map(grants.map((one) => [one.id, one]))]]);
    this.holds = new Map([[first.id, new Map(holds.map((one) => [one.id, one]))]]);
    this.holdKeys = new Map(holds.map((one) => [one.key, one]));
  }

  /** Carries out commands in one batch at an instant. */
  at(now: number, ...commands: Command[]): Decision[] {
    const batch = this.#batch(now);
    const decisions = commands.map((command) => batch.decide(command));
    this.transactions.push(...batch.transactions);
    return decisions;
  }

  /** What each command of one batch comes to, in a word. */
  verdicts(now: number, ...commands: Command[]): string[] {
    return this.at(now, ...commands).map((decision) =>
      decision.kind === 'refused' ? decision.refusal.code : decision.kind,
    );
  }

  #batch(now: number): Batch {
    const { accounts, grants, holds, keys, holdKeys } = this;
    return new Batch({
      store: STORE,
      now,
      newId: () => this.newId(),
      accounts,
      grants,
      holds,
      pending: new Map(),
      keys,
      holdKeys,
      names: new Map(),
      originals: new Map(this.transactions.map((one) => [one.id, one])),
    });
  }

  newId(): Uuid {
    return ids(this.#made++);
  }

  get account(): Account {
    return this.accounts.get(A)!;
  }

  get funds(): Funds {
    return {
      account: this.account,
      grants: [...(this.grants.get(A)?.values() ?? [])],
      holds: [...(this.holds.get(A)?.values() ?? [])],
    };
  }

  position(at: number): Position {
    return positionOf(this.funds, at);
  }

  hold(id: Uuid = H): Hold {
    return this.holds.get(A)!.get(id)!;
  }

  grant(id: Uuid): Grant {
    return this.grants.get(A)!.get(id)!;
  }

  /** The account's history: what moved it, by how much and when. */
  get history(): [operation: string, amount: bigint, at: number][] {
    return this.transactions.flatMap(({ operation, entries, createdAt }) =>
      entries
        .filter(({ accountId }) => accountId === A)
        .sort((a, b) => a.seq! - b.seq!)
        .map(({ amount }): [string, bigint, number] => [operation, amount, createdAt]),
    );
  }

  debit(now: number, amount: bigint, key = `debit ${this.#made}`): Decision {
    return this.at(now, movement('debit', this.newId(), amount, key))[0]!;
  }

  credit(now: number, amount: bigint, terms?: Partial<GrantTerms>): Decision {
    const id = this.newId();
    const command = movement('credit', id, amount, `credit ${id}`);
    const full = terms && { ...TERMS, grantId: this.newId(), ...terms };
    return this.at(now, { ...command, terms: full })[0]!;
  }

  reverse(now: number, originalId: Uuid): Decision {
    const transactionId = this.newId();
    const fingerprint = ids(1);
    const accountId = undefined;
    return this.at(now, { kind: 'reverse', originalId, accountId, transactionId, fingerprint })[0]!;
  }
}

const TERMS = {
  priority: 50,
  category: 'paid',
  effectiveAt: undefined,
  expiresAt: null,
} as const;

function movement(kind: 'credit' | 'debit', id: Uuid, amount: bigint, key: string): MoveCommand {
  return {
    kind,
    accountId: A,
    amount,
    terms: undefined,
    remarks: remarksOf({ reference: 'order_1' }),
    key,
    transactionId: id,
    fingerprint: ids(70),
  };
}

export function holdCommand(amount: bigint, fields: Partial<HoldCommand> = {}): HoldCommand {
  return {
    kind: 'hold',
    holdId: H,
    accountId: A,
    amount,
    expiresInMs: 1_000,
    reference: 'job_1',
    key: 'hold_1',
    fingerprint: ids(72),
    ...fields,
  };
}

export function captureCommand(
  amount: bigint | undefined,
  fields: Partial<CaptureCommand> = {},
): CaptureCommand {
  return {
    kind: 'capture',
    holdId: H,
    accountId: A,
    amount,
    overage: 'refuse',
    final: true,
    metadata: null,
    key: 'capture_1',
    transactionId: ids(400),
    fingerprint: ids(73),
    ...fields,
  };
}

/** Parts as text, so that a table can be read: `g1:4 pool:2`. */
export function textOf(parts: readonly Part[]): string {
  return parts.map(({ grantId, amount }) => `${nameOf(grantId)}:${amount}`).join(' ');
}

function nameOf(grantId: Uuid | null): string {
  return grantId === null ? 'pool' : `g${Number(grantId.slice(-12)) - 200}`;
}
