import { setTimeout as sleep } from 'node:timers/promises';
import type { Uuid } from '../core/id.js';
import type { Store, Transaction } from '../core/model.js';
import { findDueAccounts, readClockOf } from '../store/read/clock.js';
import { listStores } from '../store/read/directory.js';
import type { Ledger } from './ledger.js';
import { SETTLED_MAX } from './write/load-funds.js';
import type { Outcome } from './write/outcome.js';

/**
 * Carries out what falls due while nobody asks: holds and grants that end, and the announcement
 * of grants that are about to. Nothing depends on when it runs, for every command and every read
 * takes what is due into account by itself; it makes expiries appear in histories and webhooks.
 * It can be stopped at any moment and runs in any number of servers.
 */

const SWEEP_EVERY_MS = 1_000;
/** How many accounts are settled in one database transaction, so that debits go on between. */
const SETTLE_CHUNK = 5;
/** How much longer than it has worked a sweep then rests while others have work for the ledger. */
const REST_FACTOR = 2;
const DUE_MAX = 10_000;
/** For how long a store in which sweeping fails is left alone at most. */
const REST_MS_MAX = 60_000;
/** How long before its expiry a grant is announced, in milliseconds. */
export const ANNOUNCE_AHEAD_MS_DEFAULT = 7 * 86_400_000;

/** What an account came to that could not be settled. */
const NONE = { transactions: [], holdsExpired: 0, grantsAnnounced: 0 };

/** What a sweep came to. */
export interface Settled {
  readonly accounts: number;
  readonly holdsExpired: number;
  readonly grantsAnnounced: number;
  readonly transactions: readonly Transaction[];
}

/** Settles everything that is due in a store at its own instant. */
export async function sweepStore(ledger: Ledger, store: Store): Promise<Settled> {
  const { worker } = ledger.engine;
  const { now } = await readClockOf(worker, store.id);
  const announceUntil = now + ledger.announceAheadMs;
  const due = await findDueAccounts(worker, store.id, { now, announceUntil, limit: DUE_MAX });
  const transactions: Transaction[] = [];
  let holdsExpired = 0;
  let grantsAnnounced = 0;
  for (let start = 0; start < due.length; start += SETTLE_CHUNK) {
    let chunk = due.slice(start, start + SETTLE_CHUNK);
    while (chunk.length > 0) {
      const outcomes = await givingWay(ledger, () => settle(ledger, store, chunk));
      const isUnfinished: boolean[] = [];
      for (const outcome of outcomes) {
        const settled = outcome.kind === 'settled' ? outcome : NONE;
        transactions.push(...settled.transactions);
        holdsExpired += settled.holdsExpired;
        grantsAnnounced += settled.grantsAnnounced;
        isUnfinished.push(settled.grantsAnnounced >= SETTLED_MAX);
      }
      chunk = chunk.filter((_, index) => isUnfinished[index]);
    }
  }
  return { accounts: due.length, holdsExpired, grantsAnnounced, transactions };
}

/** Lets others have most of the ledger's time, where there are any. */
async function givingWay(
  ledger: Ledger,
  work: () => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const before = ledger.commands;
  const started = performance.now();
  const outcomes = await work();
  const took = performance.now() - started;
  if (ledger.commands - before > outcomes.length) await sleep(took * REST_FACTOR);
  return outcomes;
}

function settle(ledger: Ledger, store: Store, accountIds: readonly Uuid[]) {
  const aheadMs = ledger.announceAheadMs;
  const commands = accountIds.map((accountId) => ({ kind: 'settle', accountId, aheadMs }) as const);
  return ledger.executeAll(store, commands, false);
}

/**
 * Sweeps all stores, again and again, until it is stopped. A store in which that fails is left
 * alone for a while, longer each time, and holds up no other.
 */
export class Sweeper {
  readonly #ledger: Ledger;
  readonly #onError: (error: unknown) => void;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  readonly #failed = new Map<Uuid, { times: number; restUntil: number }>();

  /** @param onError is told of each failure; the next round finds the same work. */
  constructor(ledger: Ledger, onError: (error: unknown) => void) {
    this.#ledger = ledger;
    this.#onError = onError;
    this.#done = this.#run();
  }

  /** Resolves once the transaction in flight, if any, has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#sweepAll().catch(this.#onError);
      await sleep(SWEEP_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #sweepAll(): Promise<void> {
    for (const store of await listStores(this.#ledger.engine.worker)) {
      if (this.#stop.signal.aborted) return;
      const failed = this.#failed.get(store.id);
      if (failed !== undefined && performance.now() < failed.restUntil) continue;
      try {
        await sweepStore(this.#ledger, store);
        this.#failed.delete(store.id);
      } catch (error) {
        this.#rest(store, (failed?.times ?? 0) + 1);
        this.#onError(error);
      }
    }
  }

  #rest({ id }: Store, times: number): void {
    const rest = Math.min(SWEEP_EVERY_MS * 2 ** times, REST_MS_MAX);
    this.#failed.set(id, { times, restUntil: performance.now() + rest });
  }
}
