import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { STOP_MS_MAX, Stop } from '../../src/cli/stop.js';
import type { Engine } from '../../src/store/engine/db.js';
import { Deliverer, STOP_GRACE_MS } from '../../src/webhooks/delivery/deliver.js';
import { settingsOf } from './harness.js';

/** A stop has an upper bound of its own, by a timer that depends on nobody. */

const warned: [object, string][] = [];
const log = { warn: (fields: object, message: string) => void warned.push([fields, message]) };

beforeEach(() => {
  warned.length = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test('a deliverer stops in time although the database never answers', async () => {
  const silent = { worker: { query: () => new Promise(() => {}) } } as unknown as Engine;
  const deliverer = new Deliverer(silent, { settings: settingsOf(), log });
  deliverer.start();
  let stopped = false;
  const stop = deliverer.stop().then(() => (stopped = true));
  await vi.advanceTimersByTimeAsync(STOP_GRACE_MS - 1);
  expect(stopped).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await stop;
  expect(warned).toEqual([[{ endpoints: [] }, expect.stringContaining('before all')]]);
});

test('a process ends with 0 and names what has not ended', async () => {
  const exited: unknown[] = [];
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    exited.push(code);
    return undefined as never;
  });
  const signals = vi.spyOn(process, 'once').mockReturnValue(process);
  const stop = new Stop(log);
  const listener = signals.mock.calls.find(([name]) => (name as string) === 'SIGTERM')![1];
  await stop.waitFor('what ends', Promise.resolve());
  void stop.waitFor('what hangs', new Promise(() => {}));
  await vi.advanceTimersByTimeAsync(10 * STOP_MS_MAX);
  expect(exited, 'nothing is bounded before the signal').toEqual([]);
  (listener as () => void)();
  await stop.asked;
  await vi.advanceTimersByTimeAsync(STOP_MS_MAX - 1);
  expect(exited).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(exited).toEqual([0]);
  expect(warned).toEqual([[{ unfinished: ['what hangs'] }, expect.stringContaining('9000 ms')]]);
});
