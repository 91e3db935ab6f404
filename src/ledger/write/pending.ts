import type { Command } from '../../core/command.js';
import type { Refusal } from '../../core/errors.js';
import type { Uuid } from '../../core/id.js';
import type { Store } from '../../core/model.js';
import type { Busy, Outcome } from './outcome.js';

/** Where commands wait, which tells their caller what went wrong where they wait too long. */
export type Whereabouts = 'queue' | 'flight' | 'line';

export interface PendingFields {
  readonly store: Store;
  readonly commands: readonly Command[];
  /** All or nothing. */
  readonly atomic: boolean;
  /** In their order or not at all; such commands have a database transaction of their own. */
  readonly together: boolean;
  readonly partition: number;
}

/** Commands of one caller, which stay together and in order until all of them are answered. */
export class Pending {
  readonly store: Store;
  readonly commands: readonly Command[];
  readonly atomic: boolean;
  readonly together: boolean;
  readonly partition: number;
  /** When they came, by this process's own clock. */
  readonly since = performance.now();
  readonly outcomes: Promise<readonly Outcome[]>;
  whereabouts: Whereabouts = 'queue';
  #answered = false;
  #resolve!: (outcomes: readonly Outcome[]) => void;
  #reject!: (error: unknown) => void;
  /** What became of each so far; undefined before the first try. */
  #tried: readonly (Outcome | Busy)[] | undefined;

  constructor(fields: PendingFields) {
    this.store = fields.store;
    this.commands = fields.commands;
    this.atomic = fields.atomic;
    this.together = fields.together;
    this.partition = fields.partition;
    this.outcomes = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Whether its caller has an answer already, so that nobody waits for it any more. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The commands that are still to be carried out, in their order. */
  get open(): readonly Command[] {
    const tried = this.#tried;
    if (tried === undefined) return this.commands;
    return this.commands.filter((_, place) => tried[place]?.kind === 'busy');
  }

  /**
   * Takes what a try of the open commands came to, and answers once none of them was busy. Who has
   * been answered before, because it took too long, is answered no more.
   *
   * @returns the accounts that it still waits for.
   */
  take(outcomes: readonly (Outcome | Busy)[]): readonly Uuid[] {
    const tried = this.#merge(outcomes);
    if (isWhole(tried)) {
      this.#answered = true;
      this.#resolve(tried);
      return [];
    }
    this.#tried = tried;
    const accountIds = tried.flatMap((one) => (one.kind === 'busy' ? one.accountIds : []));
    return [...new Set(accountIds)];
  }

  /** Answers with a refusal for everything that is not carried out yet. */
  refuse(refusal: Refusal): void {
    const refused: Outcome = { kind: 'refused', refusal };
    const tried = this.#tried ?? [];
    const outcomes = this.commands.map((_, place) => {
      const one = tried[place];
      return one === undefined || isBusy(one) ? refused : one;
    });
    this.#answered = true;
    this.#resolve(outcomes);
  }

  fail(error: unknown): void {
    this.#answered = true;
    this.#reject(error);
  }

  #merge(outcomes: readonly (Outcome | Busy)[]): readonly (Outcome | Busy)[] {
    if (this.#tried === undefined) return outcomes;
    let next = 0;
    return this.#tried.map((one) => (isBusy(one) ? outcomes[next++]! : one));
  }
}

function isWhole(tried: readonly (Outcome | Busy)[]): tried is readonly Outcome[] {
  return !tried.some(isBusy);
}

function isBusy(one: Outcome | Busy): one is Busy {
  return one.kind === 'busy';
}
