/** What a database error means for its caller, by SQLSTATE (PostgreSQL appendix A). */

/** The transaction was undone through no fault of its own: run it again. */
const CONFLICTS = new Set(['40001', '40P01']);

/** Classes of errors after which the connection is gone, or the server is starting or stopping. */
const LOST = new Set(['57P01', '57P02', '57P03', '57P05', '25P03', '25P04', '53300', '25006']);

/** Nothing more can be stored, or the machine fails: disk full, out of memory, input or output. */
const EXHAUSTED = new Set(['53100', '53200', '53400', '58030']);

const MIXED_UP = new Set(['42P05', '26000']);

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ENOENT',
  'EAI_AGAIN',
]);

export function sqlstate(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(sqlstate(error) ?? '');
}

/** Another process won a race for a key or a name. */
export function isUniqueViolation(error: unknown): boolean {
  return sqlstate(error) === '23505';
}

/** Somebody else has locked what a statement needs, for longer than it may wait. */
export function isLockTimeout(error: unknown): boolean {
  return sqlstate(error) === '55P03';
}

/** A statement took longer than it may. */
export function isTimeout(error: unknown): boolean {
  return sqlstate(error) === '57014';
}

/** A named statement is there already, or is not there: the session is another's as well. */
export function isMixedUp(error: unknown): boolean {
  return MIXED_UP.has(sqlstate(error) ?? '');
}

export function isExhausted(error: unknown): boolean {
  return EXHAUSTED.has(sqlstate(error) ?? '');
}

/**
 * What the coordinator of a Citus cluster says where a worker went away while it was asked, or
 * while it committed: these come without a code of their own, as internal errors.
 */
const WORKER_LOST =
  /^(?:server closed the connection|SSL SYSCALL error|SSL connection has been closed|could not (?:receive|send) data|connection not open|no connection to the server|postmaster was shut down|could not commit transaction|failure on connection marked as essential)/;

/** True where the database could not be reached, or went away before it answered. */
export function isLost(error: unknown): boolean {
  const code = sqlstate(error);
  const message = error instanceof Error ? error.message : '';
  if (code === 'XX000') return WORKER_LOST.test(message);
  if (code !== undefined) return code.startsWith('08') || LOST.has(code) || NETWORK.has(code);
  // The driver gives these no code, only a sentence.
  return /^Connection terminated|not queryable|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|Client was closed/.test(
    message,
  );
}

/** True where the fault is the database's state and not the request: it may pass by itself. */
export function isUnavailable(error: unknown): boolean {
  return [isLost, isExhausted, isTimeout, isLockTimeout, isMixedUp].some((is) => is(error));
}
