import type { Attempted, DueEvent } from '../../store/webhooks/outbox.js';
import type { Answered } from './attempt.js';

const GONE = 410;
/** Waits differ by up to this part, so that what failed together does not come back together. */
const JITTER = 0.1;

/** How many attempts of this process have come to what, since it started. */
export interface AttemptCounts {
  success: number;
  failure: number;
}

/**
 * What an attempt comes to: 2xx is a success, 410 is final, and anything else is tried again for
 * as long as the schedule goes on.
 *
 * @param schedule the waits before each attempt, in milliseconds.
 * @param random from 0 up to 1.
 */
export function attemptedOf(
  { eventId, tries: before }: Pick<DueEvent, 'eventId' | 'tries'>,
  { attempt, retryAfter }: Answered,
  schedule: readonly number[],
  random: number,
): Attempted {
  const status = attempt.response_status;
  const tries = before + 1;
  const base = { eventId, tries, attempt };
  if (status !== null && status >= 200 && status < 300) {
    return { ...base, status: 'delivered', delay: null };
  }
  const wait = schedule[tries];
  if (status === GONE || wait === undefined) return { ...base, status: 'failed', delay: null };
  const delay = Math.round(wait * (1 + JITTER * (2 * random - 1)));
  return { ...base, status: 'retrying', delay: Math.max(delay, retryAfter ?? 0) };
}

/** The receiver says that it will never take an event again. */
export function isGone({ attempt }: Attempted): boolean {
  return attempt.response_status === GONE;
}
