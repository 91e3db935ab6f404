import { AMOUNT_MAX } from '../../src/core/amount.js';

/** A ledger in sixty lines, slow and plain, which the real one must agree with. */

export type Step =
  | { kind: 'open'; customer: string; name: string; seed: bigint }
  | { kind: 'credit' | 'debit'; account: number; amount: bigint; reference: string; key: string }
  | { kind: 'post'; lines: Line[]; reference: string; key: string }
  | { kind: 'reverse'; transaction: number; account: number | undefined }
  | { kind: 'freeze' | 'unfreeze' | 'close'; account: number };

/** An account by the order in which it was opened; none has the number -1. */
export type Line = [account: number, amount: bigint];
export type Verdict = string | { account: number } | { transaction: number; replayed: boolean };

export class Model {
  readonly accounts: { owner: string; status: string; history: bigint[]; balance: bigint }[] = [];
  readonly transactions: { key: string; request: string; lines: Line[]; reversal: boolean }[] = [];

  apply(step: Step): Verdict {
    switch (step.kind) {
      case 'open': {
        const owner = `${step.customer}/${step.name.trim().toLowerCase()}`;
        if (this.accounts.some((account) => account.owner === owner)) return 'account_name_taken';
        const account =
          this.accounts.push({ owner, status: 'active', history: [], balance: 0n }) - 1;
        if (step.seed > 0n) this.#post(`seed ${account}`, '', [[account, step.seed]], false);
        return { account };
      }
      case 'reverse': {
        const original = this.transactions[step.transaction];
        if (step.account !== undefined && !this.accounts[step.account]) return 'account_not_found';
        const touched = original?.lines.some(([account]) => account === step.account);
        if (!original || (step.account !== undefined && !touched)) return 'transaction_not_found';
        const key = `reversal ${step.transaction}`;
        const lines = original.lines.map(([account, amount]): Line => [account, -amount]);
        const known = this.#find(key);
        if (known >= 0) return { transaction: known, replayed: true };
        if (original.reversal) return 'transaction_not_reversible';
        return this.#refusal(lines) ?? this.#post(key, '', lines, true);
      }
      case 'freeze':
      case 'unfreeze':
      case 'close': {
        const account = this.accounts[step.account];
        if (!account) return 'account_not_found';
        if (account.status === 'closed') return 'account_closed';
        if (step.kind === 'freeze' && account.status === 'frozen') return 'account_frozen';
        if (step.kind === 'unfreeze' && account.status === 'active') return 'account_not_frozen';
        account.status = { freeze: 'frozen', unfreeze: 'active', close: 'closed' }[step.kind];
        return { account: step.account };
      }
      default:
        return this.#move(step);
    }
  }

  #move(step: Extract<Step, { key: string }>): Verdict {
    const { key, ...rest } = step;
    const request = JSON.stringify(rest, (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    const sign = step.kind === 'debit' ? -1n : 1n;
    const lines: Line[] = step.kind === 'post' ? step.lines : [[step.account, sign * step.amount]];
    if (lines.some(([account]) => !this.accounts[account])) return 'account_not_found';
    const known = this.#find(key);
    if (known >= 0 && this.transactions[known]!.request !== request)
      return 'idempotency_key_mismatch';
    if (known >= 0) return { transaction: known, replayed: true };
    const sum = lines.reduce((total, [, amount]) => total + amount, 0n);
    const state = this.#stateRefusal(lines);
    if (state !== undefined) return state;
    if (step.kind === 'post' && sum !== 0n) return 'unbalanced_transaction';
    return this.#refusal(lines) ?? this.#post(key, request, lines, false);
  }

  #find(key: string): number {
    return this.transactions.findIndex((transaction) => transaction.key === key);
  }

  #stateRefusal(lines: Line[]): string | undefined {
    const statuses = lines.map(([account]) => this.accounts[account]!.status);
    return ['closed', 'frozen'].filter((s) => statuses.includes(s)).map((s) => `account_${s}`)[0];
  }

  #refusal(lines: Line[]): string | undefined {
    const state = this.#stateRefusal(lines);
    if (state !== undefined) return state;
    const sum = (amounts: bigint[]) => amounts.reduce((total, amount) => total + amount, 0n);
    const accounts = [...new Set(lines.map(([number]) => number))].map((number) => {
      const own = lines.filter(([other]) => other === number).map(([, amount]) => amount);
      const { balance } = this.accounts[number]!;
      const most = balance + sum(own.filter((amount) => amount > 0n));
      return { net: sum(own), after: balance + sum(own), most };
    });
    if (accounts.some(({ net, after }) => net < 0n && after < 0n)) return 'insufficient_balance';
    if (accounts.some(({ most }) => most > AMOUNT_MAX)) return 'balance_limit_exceeded';
    return undefined;
  }

  #post(key: string, request: string, lines: Line[], reversal: boolean): Verdict {
    const transaction = this.transactions.push({ key, request, lines, reversal }) - 1;
    for (const credits of [true, false]) {
      for (const [number, amount] of lines.filter((line) => line[1] > 0n === credits)) {
        const account = this.accounts[number]!;
        account.balance += amount;
        account.history.push(amount);
      }
    }
    return { transaction, replayed: false };
  }
}
