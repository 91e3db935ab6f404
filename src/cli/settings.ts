import { keyFault, type PoolerMode, parseDuration } from '../ledger/index.js';

/** Settings come from flags, then from the environment, under the same names. */

/** A setting that cannot be used: exit code 2, one clear line. */
export class UsageError extends Error {}

export interface Settings {
  readonly databaseUrl: string | undefined;
  /** What a pooler in front of the database does; found out where not set. */
  readonly pooler: PoolerMode | undefined;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly apiKey: string | undefined;
  readonly logLevel: LogLevel;
  /** How long before its expiry a grant is announced, in milliseconds. */
  readonly expiringAheadMs: number;
}

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Flags {
  readonly databaseUrl?: string;
  readonly dataDir?: string;
  readonly host?: string;
  readonly port?: string;
  readonly apiKey?: string;
  readonly logLevel?: string;
}

/** @throws {UsageError} naming the first setting that cannot be used. */
export function readSettings(flags: Flags, env: NodeJS.ProcessEnv): Settings {
  // An empty variable is one that was not set.
  const read = (flag: string | undefined, name: string) => flag ?? (env[name] || undefined);
  return {
    databaseUrl: databaseUrl(read(flags.databaseUrl, 'DATABASE_URL')),
    pooler: pooler(env.TALLYSTICK_POOLER || undefined),
    dataDir: read(flags.dataDir, 'TALLYSTICK_DATA_DIR') ?? './data',
    host: read(flags.host, 'HOST') ?? '127.0.0.1',
    port: port(read(flags.port, 'PORT') ?? '4400'),
    apiKey: apiKey(read(flags.apiKey, 'TALLYSTICK_API_KEY')),
    logLevel: logLevel(read(flags.logLevel, 'LOG_LEVEL') ?? 'info'),
    expiringAheadMs: expiringAhead(env.TALLYSTICK_EXPIRING_AHEAD || '7d'),
  };
}

function databaseUrl(text: string | undefined): string | undefined {
  // The URL holds a password, so it is never repeated.
  if (text === undefined || /^postgres(ql)?:\/\//.test(text)) return text;
  throw new UsageError('DATABASE_URL must begin with postgres:// or postgresql://.');
}

const POOLERS: readonly PoolerMode[] = ['transaction', 'prepared', 'session'];

function pooler(text: string | undefined): PoolerMode | undefined {
  if (text === undefined) return undefined;
  const mode = POOLERS.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw new UsageError(
    `TALLYSTICK_POOLER must be transaction, prepared or session, not "${text}".`,
  );
}

function port(text: string): number {
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number <= 65_535) return number;
  throw new UsageError(`PORT must be a number from 0 to 65535, not "${text}".`);
}

function apiKey(text: string | undefined): string | undefined {
  const fault = text === undefined ? undefined : keyFault(text);
  if (fault !== undefined) throw new UsageError(`TALLYSTICK_API_KEY cannot be used: ${fault}.`);
  return text;
}

function expiringAhead(text: string): number {
  const duration = parseDuration(text);
  if (duration !== undefined) return duration;
  throw new UsageError(
    `TALLYSTICK_EXPIRING_AHEAD must be a duration such as 30m, 6h or 7d, not "${text}".`,
  );
}

function logLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level !== undefined) return level;
  throw new UsageError(`LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}, not "${text}".`);
}
