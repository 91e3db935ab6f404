import { parseInstant } from '../../contract/fields.js';
import { RefusalError, refuse } from '../../core/errors.js';
import { type Ledger, type Settled, type Store, sweepStore } from '../../ledger/index.js';
import { presentTransaction, time } from '../present/present.js';
import type { Handlers } from './handlers.js';

/** A test store's own time (live stores run on real time alone). */

const SHOWN_MAX = 100;

const NOTHING: Settled = { accounts: 0, holdsExpired: 0, grantsAnnounced: 0, transactions: [] };

export const getClock: Handlers['getClock'] = async ({ ledger, store }) => ({
  body: await presentClock(ledger, store, NOTHING),
});

/** `{now}` sets, `{advance}` moves forward and `{}` returns to real time. */
export const moveClock: Handlers['moveClock'] = async ({ ledger, store, body }) => {
  requireTestStore(store);
  if (body.advance !== undefined) await ledger.advanceClock(store, body.advance);
  else await ledger.setClock(store, body.now === undefined ? null : parseInstant(body.now)!);
  return { body: await presentClock(ledger, store, await sweepStore(ledger, store)) };
};

export const resetClock: Handlers['resetClock'] = async ({ ledger, store }) => {
  requireTestStore(store);
  await ledger.setClock(store, null);
  return { body: await presentClock(ledger, store, NOTHING) };
};

function requireTestStore({ mode }: Store): void {
  if (mode === 'test') return;
  const message =
    'This key is of a live store, which runs on real time. Use a key of a test store.';
  throw new RefusalError(refuse('not_a_test_store', message));
}

async function presentClock(ledger: Ledger, store: Store, settled: Settled) {
  const { now, real } = await ledger.clock(store);
  const { transactions } = settled;
  return {
    object: 'clock' as const,
    now: time(now),
    real,
    settled: {
      accounts: settled.accounts,
      holds_expired: settled.holdsExpired,
      grants_announced: settled.grantsAnnounced,
      transactions: transactions
        .slice(0, SHOWN_MAX)
        .map((transaction) => presentTransaction(store, transaction)),
      has_more: transactions.length > SHOWN_MAX,
    },
  };
}
