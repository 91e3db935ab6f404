/**
 * Grants, holds and time, slow and plain: one list of lots, and every instant is lived through
 * one after the other. Times are whole ticks.
 */

export type Step =
  | { kind: 'clock'; to: number }
  | { kind: 'credit'; account: number; amount: bigint; terms: Terms | undefined; id: string }
  | { kind: 'debit'; account: number; amount: bigint }
  | { kind: 'transfer'; account: number; to: number; amount: bigint }
  | { kind: 'post'; account: number; to: number; lines: bigint[] }
  | { kind: 'reverse'; transaction: number }
  | { kind: 'hold'; account: number; amount: bigint; ticks: number; key: number }
  | { kind: 'capture'; hold: number; amount: bigint | undefined; cap: boolean; final: boolean }
  | { kind: 'release'; hold: number }
  | { kind: 'extend'; hold: number; ticks: number }
  | { kind: 'void'; grant: number }
  | { kind: 'settle'; account: number }
  | { kind: 'freeze' | 'unfreeze' | 'close'; account: number };

export type Terms = { priority: number; promo: boolean; from: number | null; until: number | null };
/** A lot, or the pool where it is null. */
type Draw = [lot: number | null, amount: bigint];
/** An account's part in a transaction; of its lines only the net draws. */
type Leg = { account: number; lines: bigint[]; draws: Draw[]; made: number | null };
type Lot = Terms & { id: string; account: number; left: bigint; from: number; made: number } & {
  voided: boolean;
  /** What its void took at once. */
  took: bigint;
  ends: number;
};
type Hold = { account: number; pins: Draw[]; until: number; status: string } & Record<
  'amount' | 'captured',
  bigint
> & { request: string; key: number };

/** Before every tick: a store on real time, whose instants have no number. */
export const REAL = -50;
export const FOREVER = Number.POSITIVE_INFINITY;
const total = (draws: readonly Draw[]) => draws.reduce((sum, [, amount]) => sum + amount, 0n);
export const net = (lines: readonly bigint[]) => lines.reduce((sum, line) => sum + line, 0n);
const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** What is told of each movement: the balance and what is available right after it. */
type Told = { balance: bigint; available: bigint };
type Account = { time: number; opened: number; history: [bigint, number][]; told: Told[] } & {
  status: string;
};

export class FundsModel {
  clock = 0;
  readonly accounts: Account[] = [];
  readonly lots: Lot[] = [];
  readonly holds: Hold[] = [];
  readonly transactions: { legs: Leg[]; reversed: boolean; reversal: boolean }[] = [];

  open(): void {
    const { clock } = this;
    this.accounts.push({ time: clock, opened: clock, history: [], told: [], status: 'active' });
  }

  copy(): FundsModel {
    return Object.assign(new FundsModel(), structuredClone({ ...this }));
  }

  balance(account: number): bigint {
    return this.accounts[account]!.history.reduce((sum, [amount]) => sum + amount, 0n);
  }

  /** What there is once everything that is due has come true. */
  position(account: number) {
    const after = this.copy();
    after.live(account);
    const now = after.now(account);
    let pending = 0n;
    for (const [index, lot] of after.lots.entries()) {
      if (lot.account === account && lot.from > now && end(lot) > now)
        pending += after.free(account, index);
    }
    const held = after.openHolds(account).reduce((sum, hold) => sum + total(hold.pins), 0n);
    const balance = after.balance(account) - pending;
    // Closing is final: nothing can take what is left.
    const closed = after.accounts[account]!.status === 'closed';
    return { balance, held, available: closed ? 0n : balance - held, pending };
  }

  /** Why accounts take part in nothing new; undefined where they do. */
  blocked(...accounts: number[]): string | undefined {
    const all = accounts.map((account) => this.accounts[account]!.status);
    const status = ['closed', 'frozen'].find((one) => all.includes(one));
    return status && `account_${status}`;
  }

  now(...accounts: number[]): number {
    return Math.max(this.clock, ...accounts.map((account) => this.accounts[account]!.time));
  }

  /** Lives through every tick up to now. */
  live(account: number): void {
    for (let tick = REAL; tick <= this.now(account); tick++) this.fall(account, tick);
  }

  fall(account: number, tick: number): void {
    for (const hold of this.openHolds(account)) {
      if (hold.until <= tick) Object.assign(hold, { status: 'expired', pins: [] });
    }
    for (const voided of [true, false]) {
      const draws = this.lots.flatMap((lot, index): Draw[] => {
        const free = this.free(account, index);
        const due = lot.account === account && lot.voided === voided && end(lot) <= tick;
        return due && free > 0n ? [[index, free]] : [];
      });
      if (draws.length > 0) this.move(account, -total(draws), draws, tick);
    }
  }

  move(account: number, amount: bigint, draws: Draw[], tick: number): void {
    const own = this.accounts[account]!;
    own.time = Math.max(own.time, tick);
    own.history.push([amount, own.time]);
    for (const [lot, size] of draws) if (lot !== null) this.lots[lot]!.left -= size;
    this.tell(account);
  }

  /** Notes what the newest movement is told with, once all that it changes has changed. */
  tell(account: number): void {
    const own = this.accounts[account]!;
    const holds = this.openHolds(account).filter((hold) => hold.until > own.time);
    const pending = this.lots.reduce((sum, lot, index) => {
      const isPending = lot.account === account && lot.from > own.time;
      return isPending ? sum + this.free(account, index, holds) : sum;
    }, 0n);
    const balance = this.balance(account) - pending;
    const held = holds.reduce((sum, hold) => sum + total(hold.pins), 0n);
    const available = own.status === 'closed' ? 0n : balance - held;
    own.told[own.history.length - 1] = { balance, available };
  }

  /** Moves an account by the lines of a transaction: credits take their places first. */
  moveBy(account: number, lines: readonly bigint[], draws: Draw[], tick: number): void {
    for (const line of lines) if (line > 0n) this.move(account, line, [], tick);
    for (const line of lines) if (line < 0n) this.move(account, line, [], tick);
    for (const [lot, size] of draws) if (lot !== null) this.lots[lot]!.left -= size;
    // Of a transaction an account is told once, after its last line, and only where it moved.
    const { told, history } = this.accounts[account]!;
    for (let line = 1; line <= lines.length; line++) delete told[history.length - line];
    if (net(lines) !== 0n) this.tell(account);
  }

  openHolds(account: number): Hold[] {
    return this.holds.filter((hold) => hold.account === account && hold.status === 'open');
  }

  /** What no hold keeps of a lot, or of the pool. */
  free(account: number, lot: number | null, holds = this.openHolds(account)): bigint {
    const own = this.lots.filter((one) => one.account === account);
    const pool = own.reduce((rest, { left }) => rest - left, this.balance(account));
    const pins = holds.flatMap((hold) => hold.pins).filter(([pinned]) => pinned === lot);
    return (lot === null ? pool : this.lots[lot]!.left) - total(pins);
  }

  usable(account: number, at: number): Draw[] {
    const { opened } = this.accounts[account]!;
    const pool = {
      priority: 50,
      until: null,
      promo: false,
      from: opened,
      made: opened,
      id: '',
      rank: -1,
    };
    const lots = this.lots.map((lot, rank) => ({ ...lot, rank }));
    const live = lots.filter((lot) => lot.account === account && lot.from <= at && end(lot) > at);
    const holds = this.openHolds(account).filter((hold) => hold.until > at);
    return [pool, ...live]
      .sort(
        (a, b) =>
          a.priority - b.priority ||
          (a.until === b.until ? 0 : (a.until ?? FOREVER) - (b.until ?? FOREVER)) ||
          Number(b.promo) - Number(a.promo) ||
          a.from - b.from ||
          a.made - b.made ||
          (a.id < b.id ? -1 : 1),
      )
      .map(({ rank }): Draw => {
        const lot = rank < 0 ? null : rank;
        return [lot, this.free(account, lot, holds)];
      })
      .filter(([, amount]) => amount > 0n);
  }
}

function end(lot: Lot): number {
  return lot.ends;
}

export function take(from: readonly Draw[], amount: bigint): Draw[] {
  let left = amount;
  return from.flatMap(([lot, size]): Draw[] => {
    const share = least(size, left);
    left -= share;
    return share > 0n ? [[lot, share]] : [];
  });
}

export function leave(from: readonly Draw[], amount: bigint): Draw[] {
  let left = amount;
  return from.flatMap(([lot, size]): Draw[] => {
    const share = least(size, left);
    left -= share;
    return size > share ? [[lot, size - share]] : [];
  });
}

export { total };
