import { accountsNamed, type Command } from '../../core/command.js';
import type { Uuid } from '../../core/id.js';
import type { Store } from '../../core/model.js';
import type { SetAside } from './batch-runner.js';
import type { Pending } from './pending.js';
import { BATCH_MAX } from './store-queue.js';

/** Tries commands again; those that still have to wait come back. */
export type TryAgain = (
  store: Store,
  batch: readonly Pending[],
  waitFor: readonly Uuid[],
) => Promise<SetAside[]>;

/**
 * What waits for accounts that somebody else has locked: another server in the middle of a batch
 * as a rule, and now and then a person with a console. It waits here and on connections of its
 * own, so that everybody else goes on.
 *
 * A store's line takes turns: it waits a moment for the accounts of the first, and then lets all
 * others go whose accounts have become free. So a lock that is held for long holds up nobody who
 * does not need it.
 */
export class WaitingLine {
  readonly #tryAgain: TryAgain;
  readonly #lines = new Map<Uuid, Line>();

  constructor(tryAgain: TryAgain) {
    this.#tryAgain = tryAgain;
  }

  get idle(): boolean {
    return this.#lines.size === 0;
  }

  /** How many wait in all. */
  get size(): number {
    let size = 0;
    for (const line of this.#lines.values()) size += line.size;
    return size;
  }

  /** Those that are not being tried. */
  *pending(): Iterable<Pending> {
    for (const { items } of this.#lines.values()) yield* pendingOf(items);
  }

  sizeOf(store: Store): number {
    return this.#lines.get(store.id)?.size ?? 0;
  }

  /** The accounts that a single command names and others wait for: it would wait as well. */
  busyOf(store: Store, commands: readonly Command[]): readonly Uuid[] {
    const line = this.#lines.get(store.id);
    if (line === undefined || commands.length > 1) return [];
    return commands.flatMap(accountsNamed).filter((id) => line.accountIds.has(id));
  }

  add(store: Store, aside: readonly SetAside[]): void {
    const items = stillWaiting(aside);
    if (items.length === 0) return;
    const line = this.#lines.get(store.id);
    if (line !== undefined) {
      line.items.push(...items);
      line.size += items.length;
      for (const id of accountsIn(items)) line.accountIds.add(id);
      return;
    }
    const fresh = { items, size: items.length, accountIds: accountsIn(items) };
    this.#lines.set(store.id, fresh);
    void this.#work(store, fresh);
  }

  async #work(store: Store, line: Line): Promise<void> {
    while (line.items.length > 0) {
      const [first] = line.items as [SetAside];
      const alike = takeWhere(line.items, (one) => waitsForSame(first, one));
      const rest = takeWhere(line.items, () => true);
      const aside = await this.#tryAgain(store, pendingOf(alike), first.accountIds);
      for (const batch of batchesOf(rest)) {
        aside.unshift(...(await this.#tryAgain(store, pendingOf(batch), [])));
      }
      line.items.push(...stillWaiting(aside));
      line.size = line.items.length;
      line.accountIds = accountsIn(line.items);
    }
    this.#lines.delete(store.id);
  }
}

interface Line {
  readonly items: SetAside[];
  /** How many there are, those that are being tried included. */
  size: number;
  /** What they wait for. */
  accountIds: Set<Uuid>;
}

function accountsIn(items: readonly SetAside[]): Set<Uuid> {
  return new Set(items.flatMap(({ accountIds }) => accountIds));
}

/** Whether two can be tried as one: they wait for the same, and neither needs to be alone. */
function waitsForSame(first: SetAside, one: SetAside): boolean {
  if (one === first) return true;
  if (one.pending.together || first.pending.together) return false;
  return one.accountIds.join() === first.accountIds.join();
}

/** Takes as many as go into one database transaction. */
function takeWhere(items: SetAside[], isWanted: (one: SetAside) => boolean): SetAside[] {
  const taken: SetAside[] = [];
  const left: SetAside[] = [];
  for (const one of items) {
    if (taken.length < BATCH_MAX && isWanted(one)) taken.push(one);
    else left.push(one);
  }
  items.splice(0, items.length, ...left);
  return taken;
}

/** Those that must be alone are; all others go together. */
function batchesOf(items: readonly SetAside[]): SetAside[][] {
  const alone = items.filter(({ pending }) => pending.together).map((one) => [one]);
  const others = items.filter(({ pending }) => !pending.together);
  return others.length === 0 ? alone : [others, ...alone];
}

function pendingOf(items: readonly SetAside[]): Pending[] {
  return items.map(({ pending }) => pending);
}

function stillWaiting(aside: readonly SetAside[]): SetAside[] {
  const waiting = aside.filter(({ pending }) => !pending.answered);
  for (const { pending } of waiting) pending.whereabouts = 'line';
  return waiting;
}
