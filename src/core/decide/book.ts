import { AMOUNT_MAX } from '../amount.js';
import { type Blamed, type Refusal, refuse } from '../errors.js';
import { type Funds, takeFrom } from '../funds/funds.js';
import { fundsOf, takeableOf, usableParts } from '../funds/position.js';
import type { Uuid } from '../id.js';
import {
  type Account,
  type Drawdown,
  type Entry,
  type Grant,
  type Noted,
  type Part,
  type Posting,
  type Remarks,
  remarksOf,
  type Transaction,
  type TransactionHead,
} from '../model.js';
import { type Changes, hasParts, type State } from '../state.js';

/** A transaction that has passed every check but that of its funds. */
export interface Draft {
  readonly head: Omit<TransactionHead, 'createdAt'>;
  readonly postings: readonly Posting[];
}

/** What it reverses and what it captures is null where it is left out. */
type Said = Omit<Draft['head'], keyof Remarks | 'reversalOf' | 'holdId'> &
  Noted &
  Partial<Pick<Draft['head'], 'reversalOf' | 'holdId'>>;

export function draftOf(said: Said, postings: readonly Posting[]): Draft {
  return { head: { reversalOf: null, holdId: null, ...said, ...remarksOf(said) }, postings };
}

export type Booked =
  | { readonly transaction: Transaction; readonly changes: Changes }
  | { readonly refusal: Refusal };

/**
 * Turns postings into a transaction with its places in each account's history, and the accounts
 * and grants as they are after it; or refuses, where funds do not cover them.
 *
 * Within one account credits take their places before debits, so it is the net of each account
 * that must be covered (contract Q9), and no `balanceAfter` is ever negative. The net alone draws
 * from grants as well: credits pay the first debits of their account, and what they do not pay is
 * drawn in the order of use, by the debits that it is left of. The lines keep the order in which
 * they were sent.
 */
export function book(state: BookState, draft: Draft): Booked {
  return new Booking(state, draft).run();
}

type BookState = Pick<State, 'now' | 'accounts' | 'grants' | 'holds' | 'pending'>;

class Booking {
  readonly #state: BookState;
  readonly #draft: Draft;
  readonly #accounts = new Map<Uuid, Account>();
  readonly #grants = new Map<Uuid, Grant>();
  readonly #entries: Entry[];
  readonly #drawdowns: Drawdown[] = [];
  /** By account: what of its credits has not paid for a debit of this transaction. */
  readonly #unspent = new Map<Uuid, bigint>();
  #createdAt: number;
  #excess: Refusal | undefined;

  constructor(state: BookState, draft: Draft) {
    this.#state = state;
    this.#draft = draft;
    this.#entries = new Array(draft.postings.length);
    this.#createdAt = state.now;
    for (const { accountId } of draft.postings) {
      // System accounts are never locked, so they are not in the state: they are unbounded.
      const account = state.accounts.get(accountId);
      if (account === undefined) continue;
      this.#accounts.set(accountId, account);
      // Time never runs backwards within an account, whatever the clock does.
      if (account.postedAt > this.#createdAt) this.#createdAt = account.postedAt;
    }
  }

  run(): Booked {
    const { postings } = this.#draft;
    for (const credits of [true, false]) {
      for (let line = 0; line < postings.length; line++) {
        const posting = postings[line]!;
        if (posting.amount > 0n !== credits) continue;
        const refusal = this.#place(line, posting);
        if (refusal !== undefined) return { refusal };
      }
    }
    if (this.#excess !== undefined) return { refusal: this.#excess };
    const transaction = this.#transaction();
    const accounts = [...this.#accounts.values()];
    const grants = [...this.#grants.values()];
    return { transaction, changes: { transactions: [transaction], accounts, grants, holds: [] } };
  }

  #place(line: number, posting: Posting): Refusal | undefined {
    const { accountId, amount } = posting;
    const account = this.#accounts.get(accountId);
    if (account === undefined) {
      this.#entries[line] = { line, accountId, amount, seq: null, balanceAfter: null };
      return undefined;
    }
    const balance = account.balance + amount;
    // A debit that is not covered comes first in the table of errors, and later in the order.
    if (balance > AMOUNT_MAX) this.#excess ??= tooLarge(amountOf(line));
    const refusal = this.#fund(line, account, posting);
    if (refusal !== undefined) return refusal;
    // Funding may have changed the account's number of open grants.
    const funded = this.#accounts.get(accountId)!;
    const version = account.version + 1;
    this.#accounts.set(accountId, { ...funded, version, balance, postedAt: this.#createdAt });
    this.#entries[line] = { line, accountId, amount, seq: version, balanceAfter: balance };
    return undefined;
  }

  /** Draws what a line takes, or puts back what it returns; refuses what is not covered. */
  #fund(line: number, account: Account, { amount, parts }: Posting): Refusal | undefined {
    if (!hasParts(account) && parts === undefined) {
      return amount < 0n && account.balance + amount < 0n
        ? uncovered(-amount, account.balance, amountOf(line))
        : undefined;
    }
    if (parts !== undefined) {
      for (const part of parts) this.#draw(line, part);
      return undefined;
    }
    const unspent = this.#unspent.get(account.id) ?? 0n;
    if (amount > 0n) {
      this.#unspent.set(account.id, unspent + amount);
      return undefined;
    }
    const paid = unspent < -amount ? unspent : -amount;
    this.#unspent.set(account.id, unspent - paid);
    const needed = -amount - paid;
    if (needed === 0n) return undefined;
    // The credits are in the balance, and what they pay is not there to be drawn a second time.
    const funds = this.#funds({ ...account, balance: account.balance - paid });
    const available = takeableOf(this.#state, funds, this.#createdAt);
    if (available < needed) return uncovered(-amount, available + paid, amountOf(line));
    const usable = usableParts(funds, this.#createdAt);
    for (const part of takeFrom(usable, needed)) this.#draw(line, part);
    return undefined;
  }

  #draw(line: number, { grantId, amount }: Part): void {
    if (grantId === null || amount === 0n) return;
    const grant = this.#grant(grantId);
    const remaining = grant.remaining - amount;
    this.#grants.set(grantId, { ...grant, remaining });
    this.#drawdowns.push({ line, grantId, amount });
    const opened = Number(remaining > 0n) - Number(grant.remaining > 0n);
    const account = this.#accounts.get(grant.accountId)!;
    this.#accounts.set(account.id, {
      ...account,
      openGrants: account.openGrants + opened,
      freeInGrants: account.freeInGrants - amount,
    });
  }

  #grant(grantId: Uuid): Grant {
    const changed = this.#grants.get(grantId);
    if (changed !== undefined) return changed;
    for (const accountId of this.#accounts.keys()) {
      const grant = this.#state.grants.get(accountId)?.get(grantId);
      if (grant !== undefined) return grant;
    }
    throw new Error('A grant that is to be drawn from was not loaded.');
  }

  #funds(account: Account): Funds {
    const { grants, holds } = this.#state;
    if (this.#grants.size === 0) return fundsOf(this.#state, account, this.#createdAt);
    const own = new Map(grants.get(account.id));
    for (const id of own.keys()) own.set(id, this.#grants.get(id) ?? own.get(id)!);
    const changed = { grants: new Map([[account.id, own]]), holds };
    return fundsOf(changed, account, this.#createdAt);
  }

  #transaction(): Transaction {
    return {
      ...this.#draft.head,
      createdAt: this.#createdAt,
      entries: this.#entries,
      // A replay reads them in this order, and answers as the first time.
      drawdowns: this.#drawdowns.sort(compareDrawdowns),
    };
  }
}

function compareDrawdowns(a: Drawdown, b: Drawdown): number {
  return a.line - b.line || (a.grantId < b.grantId ? -1 : 1);
}

function amountOf(posting: number): Blamed {
  return { of: 'amount', posting };
}

export function uncovered(needed: bigint, available: bigint, blamed: Blamed): Refusal {
  const message =
    `Insufficient balance: ${needed} needed, ${available} available. ` +
    'Credit the account, then try again with the same key.';
  return refuse('insufficient_balance', message, blamed);
}

function tooLarge(blamed: Blamed): Refusal {
  const message = `The balance would exceed ${AMOUNT_MAX}, the most an account can hold.`;
  return refuse('balance_limit_exceeded', message, blamed);
}
