import { FOREVER, type FundsModel, leave, net, type Step, take, total } from './funds-model.js';

/** Carries out a step on the model, and says in a word what it comes to. */
export function apply(model: FundsModel, step: Step): string {
  if (step.kind === 'clock') {
    model.clock = step.to;
    return 'clock';
  }
  const accounts = accountsOf(model, step);
  for (const account of accounts) model.live(account);
  const verdict = carryOut(model, step, accounts);
  for (const account of accounts) model.fall(account, model.now(account));
  return verdict;
}

function accountsOf(model: FundsModel, step: Exclude<Step, { kind: 'clock' }>): number[] {
  if (step.kind === 'transfer') return [step.account, step.to];
  if (step.kind === 'post') {
    return net(step.lines) === 0n ? [step.account] : [step.account, step.to];
  }
  if ('account' in step) return [step.account];
  if (step.kind === 'reverse') {
    return model.transactions[step.transaction]!.legs.map(({ account }) => account);
  }
  return [step.kind === 'void' ? model.lots[step.grant]!.account : model.holds[step.hold]!.account];
}

function carryOut(
  model: FundsModel,
  step: Exclude<Step, { kind: 'clock' }>,
  accounts: number[],
): string {
  const at = model.now(...accounts);
  const blocked = model.blocked(...accounts);
  switch (step.kind) {
    case 'credit':
      return blocked ?? credit(model, step, at);
    case 'debit':
    case 'transfer':
    case 'post':
      return blocked ?? post(model, movedBy(step), at);
    case 'reverse':
      return reverse(model, step.transaction, at);
    case 'hold':
      return hold(model, step, at);
    case 'void': {
      const lot = model.lots[step.grant]!;
      if (lot.voided) return 'grant';
      if (blocked === 'account_closed') return blocked;
      if (lot.left === 0n || lot.ends <= at) return 'grant_not_open';
      Object.assign(lot, { voided: true, ends: at, took: model.free(lot.account, step.grant) });
      return 'grant';
    }
    case 'settle':
      return 'settled';
    case 'freeze':
    case 'unfreeze':
    case 'close':
      return restate(model, step);
    default:
      return onHold(model, step, at);
  }
}

type Posting = Extract<Step, { kind: 'debit' | 'transfer' | 'post' }>;
type Moved = [account: number, lines: bigint[]];

function movedBy(step: Posting): Moved[] {
  const { account } = step;
  if (step.kind === 'debit') return [[account, [-step.amount]]];
  const lines = step.kind === 'post' ? step.lines : [-step.amount];
  const rest = -net(lines);
  const own: Moved = [account, lines];
  return rest === 0n ? [own] : [own, [step.to, [rest]]];
}

/** What an account's lines come to in all is drawn; where they come to nothing, nothing is. */
function post(model: FundsModel, moved: readonly Moved[], at: number): string {
  const legs = moved.map(([account, lines]) => {
    const taken = net(lines) < 0n ? -net(lines) : 0n;
    return { account, lines, draws: take(model.usable(account, at), taken), made: null };
  });
  if (legs.some(({ lines, draws }) => total(draws) < -net(lines))) return 'insufficient_balance';
  for (const { account, lines, draws } of legs) model.moveBy(account, lines, draws, at);
  model.transactions.push({ legs, reversed: false, reversal: false });
  return 'transaction';
}

type Restating = Extract<Step, { kind: 'freeze' | 'unfreeze' | 'close' }>;

function restate(model: FundsModel, { kind, account }: Restating): string {
  const own = model.accounts[account]!;
  if (own.status === 'closed') return 'account_closed';
  if (kind === 'freeze' && own.status === 'frozen') return 'account_frozen';
  if (kind === 'unfreeze' && own.status !== 'frozen') return 'account_not_frozen';
  if (kind === 'close' && model.openHolds(account).length > 0) return 'open_holds';
  own.status = { freeze: 'frozen', unfreeze: 'active', close: 'closed' }[kind];
  return 'account';
}

function credit(model: FundsModel, step: Extract<Step, { kind: 'credit' }>, at: number): string {
  const { account, amount, terms } = step;
  const from = terms?.from ?? at;
  const until = terms?.until ?? null;
  if (from < at) return 'validation_error';
  if (until !== null && until <= Math.max(at, from)) return 'validation_error';
  model.move(account, amount, [], at);
  const made = terms === undefined ? null : model.lots.length;
  if (terms !== undefined) {
    const ends = until ?? FOREVER;
    const life = { from, until, made: at, voided: false, ends, took: 0n };
    model.lots.push({ ...terms, ...life, id: step.id, account, left: amount });
    model.tell(account);
  }
  const legs = [{ account, lines: [amount], draws: [], made }];
  model.transactions.push({ legs, reversed: false, reversal: false });
  return 'transaction';
}

/** Puts back what the record says, and takes back from where the record says. */
function reverse(model: FundsModel, index: number, at: number): string {
  const original = model.transactions[index]!;
  if (original.reversed) return 'replayed';
  if (original.reversal) return 'transaction_not_reversible';
  const blocked = model.blocked(...original.legs.map(({ account }) => account));
  if (blocked !== undefined) return blocked;
  for (const { account, lines, made } of original.legs) {
    if (net(lines) > 0n && model.free(account, made) < net(lines)) return 'insufficient_balance';
  }
  const legs = original.legs.map(({ account, lines, draws, made }) => ({
    account,
    lines: lines.map((line) => -line),
    draws:
      net(lines) > 0n
        ? [[made, net(lines)] as [number | null, bigint]]
        : draws.map(([lot, size]): [number | null, bigint] => [lot, -size]),
    made: null,
  }));
  for (const { account, lines, draws } of legs) model.moveBy(account, lines, draws, at);
  original.reversed = true;
  model.transactions.push({ legs, reversed: false, reversal: true });
  return 'transaction';
}

function hold(model: FundsModel, step: Extract<Step, { kind: 'hold' }>, at: number): string {
  const { key, amount, account } = step;
  const request = JSON.stringify([account, `${amount}`, step.ticks]);
  const known = model.holds.find((one) => one.key === key);
  if (known !== undefined)
    return known.request === request ? 'replayed' : 'idempotency_key_mismatch';
  const blocked = model.blocked(account);
  if (blocked !== undefined) return blocked;
  const pins = take(model.usable(account, at), amount);
  if (total(pins) < amount) return 'insufficient_balance';
  const until = at + step.ticks;
  model.holds.push({ account, amount, pins, until, captured: 0n, status: 'open', request, key });
  return 'hold';
}

type OnHold = Extract<Step, { kind: 'capture' | 'release' | 'extend' }>;

function onHold(model: FundsModel, step: OnHold, at: number): string {
  const held = model.holds[step.hold]!;
  const { account, status } = held;
  if (step.kind === 'release') {
    if (status === 'captured') return 'hold_not_open';
    if (status !== 'open') return 'replayed';
    Object.assign(held, { status: 'released', pins: [] });
    return 'hold';
  }
  if (step.kind === 'extend') {
    if (status !== 'open') return 'hold_not_open';
    held.until = at + step.ticks;
    return 'hold';
  }
  const blocked = model.blocked(account);
  if (blocked !== undefined) return blocked;
  if (status === 'captured' || status === 'released') return 'hold_not_open';
  const late = status === 'expired';
  const wanted = step.amount ?? (late ? held.amount - held.captured : total(held.pins));
  const own = take(held.pins, wanted);
  const more = take(model.usable(account, at), wanted - total(own));
  const amount = total(own) + total(more);
  if (amount === 0n || (amount < wanted && !step.cap)) return 'insufficient_balance';
  const draws = [...own, ...more];
  held.pins = leave(held.pins, amount);
  held.captured += amount;
  const done = late ? held.captured >= held.amount : held.pins.length === 0;
  if (step.final || done) Object.assign(held, { status: 'captured', pins: [] });
  model.move(account, -amount, draws, at);
  const legs = [{ account, lines: [-amount], draws, made: null }];
  model.transactions.push({ legs, reversed: false, reversal: false });
  return 'transaction';
}
