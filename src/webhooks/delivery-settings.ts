import { type AllowList, parseAllowList } from './delivery/address.js';
import { parseDuration } from './duration.js';

/** How webhooks are delivered; durations are in milliseconds. */
export interface DeliverySettings {
  /** The wait before each attempt: the first is the wait after the commit, as a rule 0. */
  readonly schedule: readonly number[];
  /** For a whole attempt: resolving, connecting, sending and the answer. */
  readonly timeout: number;
  /** How many attempts one endpoint gets at the same time. */
  readonly concurrency: number;
  /** The age at which settled deliveries are removed. */
  readonly retention: number;
  readonly allow: AllowList;
}

/** A setting that cannot be used; its message is one line for the operator. */
export class DeliverySettingsError extends Error {}

const SECOND = 1_000;
const DAY = 86_400_000;
const ATTEMPTS_MAX = 15;
const TIMEOUT_MS_MAX = 60_000;
const CONCURRENCY_MAX = 256;

/** @throws {DeliverySettingsError} naming the first setting that cannot be used. */
export function readDeliverySettings(env: Record<string, string | undefined>): DeliverySettings {
  const read = (name: string, standard: string) => env[name] || standard;
  return {
    schedule: schedule(read('TALLYSTICK_WEBHOOK_RETRY', '0s,30s,5m,30m,6h')),
    timeout: duration('TALLYSTICK_WEBHOOK_TIMEOUT', read('TALLYSTICK_WEBHOOK_TIMEOUT', '15s'), {
      min: 100,
      max: TIMEOUT_MS_MAX,
    }),
    concurrency: concurrency(read('TALLYSTICK_WEBHOOK_CONCURRENCY', '16')),
    retention: duration(
      'TALLYSTICK_WEBHOOK_RETENTION',
      read('TALLYSTICK_WEBHOOK_RETENTION', '30d'),
      { min: SECOND, max: 3_650 * DAY },
    ),
    allow: allowList(read('TALLYSTICK_WEBHOOK_ALLOW', '')),
  };
}

function schedule(text: string): number[] {
  const name = 'TALLYSTICK_WEBHOOK_RETRY';
  const delays = text.split(',').map((part) => duration(name, part, { min: 0, max: 7 * DAY }));
  if (delays.length <= ATTEMPTS_MAX) return delays;
  throw new DeliverySettingsError(`${name} may name at most ${ATTEMPTS_MAX} attempts.`);
}

/** Reads a duration such as 500ms, 30s, 5m, 6h or 30d. */
function duration(name: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = parseDuration(text);
  if (value !== undefined && value >= min && value <= max) return value;
  throw new DeliverySettingsError(
    `${name} must be made of durations such as 500ms, 30s, 5m, 6h or 30d, in range; "${text}" is not one.`,
  );
}

function concurrency(text: string): number {
  const value = Number(text);
  if (/^\d{1,3}$/.test(text) && value >= 1 && value <= CONCURRENCY_MAX) return value;
  throw new DeliverySettingsError(
    `TALLYSTICK_WEBHOOK_CONCURRENCY must be a number from 1 to ${CONCURRENCY_MAX}, not "${text}".`,
  );
}

function allowList(text: string): AllowList {
  try {
    return parseAllowList(text);
  } catch (error) {
    throw new DeliverySettingsError(
      `TALLYSTICK_WEBHOOK_ALLOW cannot be used: ${(error as Error).message}.`,
    );
  }
}
