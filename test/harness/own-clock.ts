import { afterEach, beforeEach, vi } from 'vitest';

/** How long a process has run, in milliseconds, as each test of the file says. */
export function ownClock(): { now: number } {
  const clock = { now: 0 };
  beforeEach(() => {
    clock.now = 1_000;
    vi.spyOn(performance, 'now').mockImplementation(() => clock.now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return clock;
}
