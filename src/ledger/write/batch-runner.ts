import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from '../../core/command.js';
import { type Refusal, refuse } from '../../core/errors.js';
import type { Uuid } from '../../core/id.js';
import type { Store } from '../../core/model.js';
import type { Engine } from '../../store/engine/db.js';
import {
  isConflict,
  isExhausted,
  isLockTimeout,
  isLost,
  isMixedUp,
  isTimeout,
  isUniqueViolation,
} from '../../store/engine/sqlstate.js';
import { NewerSchemaError } from '../../store/schema/migrate.js';
import { commitBatch, UncertainError } from './commit.js';
import type { Busy, Outcome } from './outcome.js';
import type { Pending } from './pending.js';
import type { WriteHealth } from './write-health.js';

const CONFLICT_TRIES_MAX = 20;
/** For how long a batch is tried again where the database is away. */
const AWAY_MS_MAX = 4_000;
const AWAY_PAUSE_MS = 100;

/** What has to wait for accounts, or where these are empty for something else that is locked. */
export interface SetAside {
  readonly pending: Pending;
  readonly accountIds: readonly Uuid[];
}

export const UNAVAILABLE = refuse(
  'unavailable',
  'The database cannot be reached, or does not answer in time. Try again with the same idempotency key: nothing is done twice.',
);
const EXHAUSTED = refuse(
  'unavailable',
  'The database has no room to store anything. Try again with the same idempotency key once its operator has seen to it: nothing is done twice.',
);

/** Commits batches, and answers whoever waits for them, whatever goes wrong. */
export class BatchRunner {
  readonly #engine: Engine;
  readonly #health: WriteHealth;
  readonly #onEvents: () => void;

  constructor(engine: Engine, health: WriteHealth, onEvents: () => void) {
    this.#engine = engine;
    this.#health = health;
    this.#onEvents = onEvents;
  }

  /**
   * Commits a batch of one store on a lane; or, where accounts to wait for are given, on one that
   * waits for them.
   *
   * @param onCommitted is called before callers are told, whose answers take a while to be made:
   * meanwhile the database can be at the next batch.
   * @returns what met locks and has to wait; everybody else has been answered.
   */
  async run(
    store: Store,
    batch: readonly Pending[],
    waitFor?: readonly Uuid[],
    onCommitted: () => void = () => {},
  ): Promise<SetAside[]> {
    const waiting = batch.filter(({ answered }) => !answered);
    if (waiting.length === 0) return [];
    for (const pending of waiting) {
      pending.whereabouts = waitFor === undefined ? 'flight' : 'line';
    }
    let outcomes: readonly (Outcome | Busy)[];
    try {
      outcomes = await this.#commit(store, waiting, waitFor);
    } catch (error) {
      return this.#afterFailure(store, waiting, waitFor, error);
    }
    // What follows is outside, for nothing that is committed may be taken for failed.
    this.#health.worked();
    onCommitted();
    return handOut(waiting, outcomes);
  }

  async #commit(
    store: Store,
    batch: readonly Pending[],
    waitFor: readonly Uuid[] | undefined,
  ): Promise<(Outcome | Busy)[]> {
    const commands = batch.flatMap(({ open }) => open);
    const { atomic, together } = batch[0]!;
    const options = { atomic, together, onEvents: this.#onEvents };
    const started = performance.now();
    for (let tries = 1; ; tries++) {
      try {
        if (waitFor === undefined) {
          return await this.#engine.onLane((lane) => commitBatch(lane, store, commands, options));
        }
        return await this.#engine.onWaitingLane((lane) =>
          commitBatch(lane, store, commands, { ...options, waitFor }),
        );
      } catch (error) {
        if (batch.every(({ answered }) => answered)) throw error;
        if (!(await canTryAgain(error, tries, started, batch))) throw error;
      }
    }
  }

  async #afterFailure(
    store: Store,
    batch: readonly Pending[],
    waitFor: readonly Uuid[] | undefined,
    error: unknown,
  ): Promise<SetAside[]> {
    if (error instanceof UncertainError) {
      // A key or an id tells whether the lost commit was carried out. A change of status has
      // neither, so its caller is told to look.
      refuseAll(
        batch.filter((pending) => !isRecognisable(pending)),
        UNAVAILABLE,
      );
      this.#health.failed('the database does not answer', error);
      return this.run(store, batch.filter(isRecognisable), waitFor);
    }
    const refusal = this.#refusalFor(error);
    if (refusal !== undefined) {
      refuseAll(batch, refusal);
      return [];
    }
    if (isLockTimeout(error) && (batch.length === 1 || waitFor !== undefined)) {
      return batch.map((pending) => ({ pending, accountIds: waitFor ?? [] }));
    }
    if (batch.length === 1) {
      if (isTimeout(error)) refuseAll(batch, UNAVAILABLE);
      else batch[0]!.fail(error);
      return [];
    }
    return this.#runApart(store, batch, waitFor, isLockTimeout(error) || isTimeout(error));
  }

  /** One culprit must not sink its neighbours; where each try takes long, halves find it soon. */
  async #runApart(
    store: Store,
    batch: readonly Pending[],
    waitFor: readonly Uuid[] | undefined,
    inHalves: boolean,
  ): Promise<SetAside[]> {
    const size = inHalves ? Math.ceil(batch.length / 2) : 1;
    const aside: SetAside[] = [];
    for (let start = 0; start < batch.length; start += size) {
      aside.push(...(await this.run(store, batch.slice(start, start + size), waitFor)));
    }
    return aside;
  }

  /** What everybody is told where the fault is the database's state and not one command's. */
  #refusalFor(error: unknown): Refusal | undefined {
    if (error instanceof NewerSchemaError) {
      this.#health.failed('the database is of a newer tallystick', error);
      return refuse('unavailable', error.message);
    }
    if (isExhausted(error)) {
      this.#health.failed('the database has no room to store anything', error);
      return EXHAUSTED;
    }
    if (isMixedUp(error)) {
      this.#health.failed('a pooler shares sessions: set TALLYSTICK_POOLER=transaction', error);
      return UNAVAILABLE;
    }
    if (isLost(error)) {
      this.#health.failed('the database cannot be reached', error);
      return UNAVAILABLE;
    }
    return undefined;
  }
}

function handOut(batch: readonly Pending[], outcomes: readonly (Outcome | Busy)[]): SetAside[] {
  const aside: SetAside[] = [];
  let start = 0;
  for (const pending of batch) {
    const count = pending.open.length;
    const accountIds = pending.take(outcomes.slice(start, start + count));
    start += count;
    if (accountIds.length > 0) aside.push({ pending, accountIds });
  }
  return aside;
}

async function canTryAgain(
  error: unknown,
  tries: number,
  started: number,
  batch: readonly Pending[],
): Promise<boolean> {
  if (isConflict(error) || isUniqueViolation(error)) return tries < CONFLICT_TRIES_MAX;
  const uncertain = error instanceof UncertainError;
  if (uncertain && !batch.every(isRecognisable)) return false;
  if (!uncertain && !isLost(error)) return false;
  if (performance.now() - started > AWAY_MS_MAX) return false;
  await sleep(AWAY_PAUSE_MS);
  return true;
}

function refuseAll(batch: readonly Pending[], refusal: Refusal): void {
  for (const pending of batch) pending.refuse(refusal);
}

const UNRECOGNISABLE = new Set<Command['kind']>(['freeze', 'unfreeze', 'close', 'extend']);

function isRecognisable({ open }: Pending): boolean {
  return open.every(({ kind }) => !UNRECOGNISABLE.has(kind));
}
