import type { Command } from '../../core/command.js';
import { decide } from '../../core/decide/decide.js';
import type { Happening } from '../../core/events/derive.js';
import type { Standing } from '../../core/events/standing.js';
import { compareUse } from '../../core/funds/funds.js';
import { withKept } from '../../core/funds/kept.js';
import { fundsOf, pendingAt } from '../../core/funds/position.js';
import { settle } from '../../core/funds/settle.js';
import type { Uuid } from '../../core/id.js';
import type { Account, Grant, Hold, Transaction } from '../../core/model.js';
import {
  type Changes,
  type Decision,
  hasParts,
  instantOf,
  type KeyHolder,
  nameOwnerKey,
  type State,
} from '../../core/state.js';
import { Writes } from '../../store/write/write.js';

/** The locked state as it changes while a batch is decided, and what is to be written of it. */
export class Batch {
  readonly writes = new Writes();
  readonly transactions: Transaction[] = [];
  /** What webhook endpoints may want to be told of, in order. */
  readonly happenings: Happening[] = [];
  readonly #state: State;
  readonly #accounts: Map<Uuid, Account>;
  readonly #grants: Map<Uuid, Map<Uuid, Grant>>;
  readonly #holds: Map<Uuid, Map<Uuid, Hold>>;
  readonly #keys: Map<string, KeyHolder>;
  readonly #holdKeys: Map<string, Hold>;
  readonly #names: Map<string, Account>;

  /** The maps become the batch's own. */
  constructor(state: MutableState) {
    this.#accounts = state.accounts;
    this.#grants = state.grants;
    this.#holds = state.holds;
    this.#keys = state.keys;
    this.#holdKeys = state.holdKeys;
    this.#names = state.names;
    this.#state = state;
    for (const account of [...this.#accounts.values()]) this.#settle(account.id);
  }

  decide(command: Command): Decision {
    const decision = decide(this.#state, command);
    if (decision.kind === 'refused' || decision.kind === 'found') return decision;
    if (decision.kind === 'opened') {
      const { account } = decision;
      this.writes.of('newAccounts').set(account.id, account);
      this.#names.set(nameOwnerKey(account.customerId, account.name), account);
    }
    this.#apply(decision.changes);
    for (const { id } of decision.changes.accounts) this.#settle(id, true);
    if (decision.kind === 'grant') this.#settleVoid(decision.grant);
    return this.#asSettled(decision);
  }

  /** Holds and grants are told as they are once what a command set free has been settled. */
  #asSettled(decision: Decision): Decision {
    if (decision.kind === 'grant') {
      const { accountId, id } = decision.grant;
      return { ...decision, grant: this.#grants.get(accountId)?.get(id) ?? decision.grant };
    }
    return decision;
  }

  #settle(accountId: Uuid, freed = false): void {
    const account = this.#accounts.get(accountId);
    if (account === undefined || !hasParts(account)) return;
    for (const changes of settle(this.#state, accountId, freed)) this.#apply(changes);
  }

  #settleVoid({ id, accountId }: Grant): void {
    const before = this.transactions.length;
    this.#settle(accountId, true);
    const taken = this.transactions.slice(before).find(({ operation, drawdowns }) => {
      return operation === 'void' && drawdowns.some(({ grantId }) => grantId === id);
    });
    if (taken === undefined) return;
    this.writes.of('voids').set(id, { grantId: id, transactionId: taken.id });
  }

  #apply(given: Changes): void {
    const { transactions, accounts, grants, holds } = withKept(this.#state, given);
    for (const account of accounts) this.#change(account);
    for (const grant of grants) this.#changeGrant(grant);
    for (const hold of holds) {
      const own = group(this.#holds, hold.accountId);
      const isKnown = own.has(hold.id) && !this.writes.of('newHolds').has(hold.id);
      this.writes.of(isKnown ? 'holds' : 'newHolds').set(hold.id, hold);
      own.set(hold.id, hold);
      // A replay of its key answers with the hold as it is by then.
      this.#holdKeys.set(hold.key, hold);
    }
    for (const transaction of transactions) {
      this.#write(transaction);
      const standings = accounts.map((account) => this.#standing(account, transaction.createdAt));
      this.happenings.push({ kind: 'posted', transaction, standings });
      const { id: transactionId, key, fingerprint } = transaction;
      this.#keys.set(key, { transactionId, fingerprint });
    }
  }

  #write(transaction: Transaction): void {
    const { id: transactionId, createdAt, entries, drawdowns } = transaction;
    this.transactions.push(transaction);
    this.writes.of('transactions').set(transactionId, transaction);
    this.writes.add(
      'entries',
      entries.map((entry) => ({ ...entry, transactionId, createdAt })),
    );
    this.writes.add(
      'drawdowns',
      drawdowns.map((drawdown) => ({ ...drawdown, transactionId })),
    );
  }

  #standing(account: Account, at: number): Standing {
    // What a hold keeps that has ended by then is not held any more. What a grant loses that has
    // ended is told of by the movement that takes it, and so it is in this balance yet.
    const funds = fundsOf(this.#state, account, at);
    const unread = this.#state.pending.get(account.id) ?? [];
    const { held } = funds.account;
    return { account: { ...account, held }, pending: pendingAt(funds.grants, unread, at) };
  }

  #change(account: Account): void {
    const { id } = account;
    const before = this.#accounts.get(id);
    // An account that was opened in this batch is inserted as it was opened.
    if (before === undefined) return;
    this.#accounts.set(id, account);
    if (account.status !== before.status) {
      this.writes.of('statuses').set(id, account);
      const standing = this.#standing(account, instantOf(this.#state, account));
      this.happenings.push({ kind: 'restated', standing });
    }
    // What is written of an account is always its newest state.
    const balances = this.writes.of('balances');
    const funds = this.writes.of('funds');
    if (funds.has(id) || haveFundsChanged(before, account)) {
      balances.delete(id);
      funds.set(id, account);
    } else if (balances.has(id) || account.version !== before.version) {
      balances.set(id, account);
    }
  }

  #changeGrant(grant: Grant): void {
    const own = group(this.#grants, grant.accountId);
    const before = own.get(grant.id);
    const isKnown = before !== undefined && !this.writes.of('newGrants').has(grant.id);
    this.writes.of(isKnown ? 'grants' : 'newGrants').set(grant.id, grant);
    const account = this.#accounts.get(grant.accountId);
    if (account !== undefined && grant.announcedAt !== (before?.announcedAt ?? null)) {
      this.happenings.push({ kind: 'expiring', grant, account });
    }
    own.set(grant.id, grant);
    if (before !== undefined) return;
    const sorted = [...own.values()].sort(compareUse);
    this.#grants.set(grant.accountId, new Map(sorted.map((item) => [item.id, item])));
  }
}

/** Whether more changed of an account than its balance. */
function haveFundsChanged(before: Account, after: Account): boolean {
  return (
    after.held !== before.held ||
    after.freeInGrants !== before.freeInGrants ||
    after.openGrants !== before.openGrants ||
    after.openHolds !== before.openHolds
  );
}

export interface MutableState extends State {
  readonly accounts: Map<Uuid, Account>;
  readonly grants: Map<Uuid, Map<Uuid, Grant>>;
  readonly holds: Map<Uuid, Map<Uuid, Hold>>;
  readonly keys: Map<string, KeyHolder>;
  readonly holdKeys: Map<string, Hold>;
  readonly names: Map<string, Account>;
}

function group<Item>(groups: Map<Uuid, Map<Uuid, Item>>, accountId: Uuid): Map<Uuid, Item> {
  let own = groups.get(accountId);
  if (own === undefined) {
    own = new Map();
    groups.set(accountId, own);
  }
  return own;
}
