import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Store } from '../../src/core/model.js';
import { type Ledger, Sweeper, sweepStore } from '../../src/ledger/index.js';

/** When the sweep works and when it rests; the time is the test's own. */

const time = vi.hoisted(() => ({
  now: 0,
  until: 0,
  slept: [] as number[],
  over: () => {},
}));
const SLEEPS_MAX = 500;

vi.mock('node:timers/promises', () => ({
  async setTimeout(milliseconds: number, _: unknown, options?: { signal: AbortSignal }) {
    await new Promise((resolve) => setImmediate(resolve));
    time.now += milliseconds;
    time.slept.push(milliseconds);
    if (options === undefined) return;
    if (time.now < time.until && time.slept.length < SLEEPS_MAX) return;
    time.over();
    const { signal } = options;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
  },
}));

beforeEach(() => {
  Object.assign(time, { now: 0, until: 0, slept: [] });
  vi.spyOn(performance, 'now').mockImplementation(() => time.now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** At which instants a store is swept until an instant, where the nth time fails or not. */
async function instants(until: number, fails: (nth: number) => boolean): Promise<number[]> {
  const tried: number[] = [];
  const query = async (text: string) => {
    if (text.includes('tallystick.grants')) return { rows: [] };
    if (text.includes('order by store_id')) return { rows: [{ store_id: 'store' }] };
    tried.push(time.now);
    if (fails(tried.length)) throw new Error('It fails.');
    return { rows: [{ now: '0', real: true }] };
  };
  time.until = until;
  const over = new Promise<void>((resolve) => {
    time.over = resolve;
  });
  const ledger = { engine: { worker: { query } }, announceAheadMs: 0 };
  const sweeper = new Sweeper(ledger as unknown as Ledger, () => {});
  await over;
  await sweeper.stop();
  return tried;
}

test('it rests for a second between two rounds', async () => {
  expect(await instants(4_000, () => false)).toEqual([0, 1_000, 2_000, 3_000]);
});

test('a store in which it fails is left alone longer each time, up to a minute', async () => {
  const seconds = (await instants(200_000, () => true)).map((at) => at / 1_000);
  expect(seconds).toEqual([0, 2, 6, 14, 30, 62, 122, 182]);
});

test('a store in which it works again is swept as before', async () => {
  const seconds = (await instants(12_000, (nth) => [1, 2, 5].includes(nth))).map((at) => at / 1e3);
  expect(seconds).toEqual([0, 2, 6, 7, 8, 10, 11]);
});

test.each([
  [0, []],
  [1, [100, 100, 100]],
])('with %i commands of others between, it rests for %j', async (others, rests) => {
  const due = Array.from({ length: 12 }, (_, n) => ({ account_id: `${n}` }));
  const sizes: number[] = [];
  const ledger = {
    commands: 0,
    engine: {
      worker: {
        query: async (text: string) => ({
          rows: text.includes('tallystick.grants') ? due : [{ now: '0', real: true }],
        }),
      },
    },
    announceAheadMs: 0,
    async executeAll(_: Store, commands: readonly unknown[]) {
      sizes.push(commands.length);
      time.now += 50;
      ledger.commands += commands.length + others;
      const settled = { kind: 'settled', transactions: [], holdsExpired: 0, grantsAnnounced: 0 };
      return commands.map(() => settled);
    },
  };
  await sweepStore(ledger as unknown as Ledger, { id: 'store' } as Store);
  expect(sizes).toEqual([5, 5, 2]);
  expect(time.slept).toEqual(rests);
});
