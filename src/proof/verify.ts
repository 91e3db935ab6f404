import { formatEntryId, formatId } from '../core/id.js';
import type { Store } from '../core/model.js';
import type { Engine, Lane } from '../store/engine/db.js';
import { listStores } from '../store/read/directory.js';
import { findSpellings } from '../store/verify/spelling.js';
import {
  beginSnapshot,
  type Counts,
  countRows,
  findDuplicates,
  findStrayStores,
  type RawDifference,
  walkRanges,
} from '../store/verify/verify.js';

/** Proves the ledger: everything that is stored is computed again from the entries. */

/** One kind of difference in one store, with public ids. */
export interface Difference {
  readonly kind: string;
  readonly storeId: string;
  /** How many of the kind there are; the rest tells of the first. */
  readonly count: number;
  readonly transactionId?: string;
  readonly accountId?: string;
  readonly entryId?: string;
  readonly expected?: string;
  readonly found?: string;
}

export interface VerifyReport extends Counts {
  readonly clean: boolean;
  readonly stores: number;
  /** At most one a kind and store. */
  readonly differences: readonly Difference[];
  /** What is right, and yet better known: of each kind the first, in a store. */
  readonly warnings: readonly Difference[];
  readonly milliseconds: number;
}

export interface VerifyProgress {
  readonly store: string;
  /** What is being looked at. */
  readonly walk: string;
  /** Rows looked at so far, of all rows that there are; both over all stores. */
  readonly done: number;
  readonly total: number;
}

export interface VerifyOptions {
  readonly onProgress?: (progress: VerifyProgress) => void;
}

/**
 * Reads one snapshot of the whole ledger and compares. Writers are not held up, except on PGlite,
 * which has one session. Memory does not grow with the ledger.
 */
export async function verifyLedger(
  engine: Engine,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  return engine.onSession(async (lane) => {
    await beginSnapshot(lane);
    const report = await verifySnapshot(lane, options);
    await lane.commit({});
    return report;
  });
}

async function verifySnapshot(
  lane: Lane,
  { onProgress = () => {} }: VerifyOptions,
): Promise<VerifyReport> {
  const started = performance.now();
  const stores = await listStores(lane);
  const counts = await countAll(lane, stores);
  const found = new Findings();
  const warned = new Findings();
  const total = counts.transactions + counts.entries + counts.accounts;
  let done = 0;
  for (const storeId of await findStrayStores(
    lane,
    stores.map(({ id }) => id),
  )) {
    found.addStray(storeId);
  }
  for (const store of stores) {
    for await (const { walk, rows, differences } of walkRanges(lane, store)) {
      found.add(store, differences);
      // Every row is passed once, save for reversals, which are passed a second time.
      done = Math.min(done + rows, total);
      onProgress({ store: store.name, walk, done, total });
    }
    for await (const { walk, differences } of findDuplicates(lane, store.id)) {
      found.add(store, differences);
      onProgress({ store: store.name, walk, done, total });
    }
    for await (const { walk, warnings } of findSpellings(lane, store.id)) {
      warned.add(store, warnings);
      onProgress({ store: store.name, walk, done, total });
    }
  }
  return {
    clean: found.differences.length === 0,
    stores: stores.length,
    ...counts,
    differences: found.differences,
    warnings: warned.differences,
    milliseconds: Math.round(performance.now() - started),
  };
}

async function countAll(lane: Lane, stores: readonly Store[]): Promise<Counts> {
  const sum = { transactions: 0, entries: 0, accounts: 0 };
  for (const store of stores) {
    const counts = await countRows(lane, store.id);
    sum.transactions += counts.transactions;
    sum.entries += counts.entries;
    sum.accounts += counts.accounts;
  }
  return sum;
}

/** The first difference of each kind and store; later ones are only counted. */
class Findings {
  readonly #byKind = new Map<string, Difference>();

  get differences(): Difference[] {
    return [...this.#byKind.values()];
  }

  add(store: Store, raw: readonly RawDifference[]): void {
    for (const difference of raw) {
      const slot = `${store.id} ${difference.kind}`;
      const earlier = this.#byKind.get(slot);
      this.#byKind.set(
        slot,
        earlier === undefined
          ? present(store, difference)
          : { ...earlier, count: earlier.count + difference.count },
      );
    }
  }

  addStray(storeId: string): void {
    this.#byKind.set(storeId, {
      kind: 'rows_without_store',
      storeId: formatId('store', storeId),
      count: 1,
    });
  }
}

function present(store: Store, raw: RawDifference): Difference {
  const { kind, count, transactionId, accountId, line, expected, found } = raw;
  return {
    kind,
    storeId: formatId('store', store.id),
    count,
    ...(transactionId === null ? {} : { transactionId: formatId('transaction', transactionId) }),
    ...(accountId === null ? {} : { accountId: formatId('account', accountId) }),
    ...(transactionId === null || line === null
      ? {}
      : { entryId: formatEntryId(transactionId, line) }),
    ...(expected === null ? {} : { expected }),
    ...(found === null ? {} : { found }),
  };
}
