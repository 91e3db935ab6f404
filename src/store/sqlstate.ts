/** What a database error means for the write path, by SQLSTATE (PostgreSQL appendix A). */

/** The transaction was undone through no fault of its own: run it again. */
const CONFLICTS = new Set(['40001', '40P01', '55P03']);

/** Classes of errors after which the connection is gone, or the server is starting or stopping. */
const LOST = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25006']);

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
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

/** True where the database could not be reached, or went away before it answered. */
export function isLost(error: unknown): boolean {
  const code = sqlstate(error);
  if (code !== undefined) return code.startsWith('08') || LOST.has(code) || NETWORK.has(code);
  // The driver gives these no code, only a sentence.
  const message = error instanceof Error ? error.message : '';
  return /^Connection terminated|not queryable|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed/.test(
    message,
  );
}
