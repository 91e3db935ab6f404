import { createHash } from 'node:crypto';
import type { QueryConfig } from 'pg';
import { SetupError } from '../schema/migrate.js';
import { isMixedUp, sqlstate } from './sqlstate.js';

const names = new Map<string, string>();

/**
 * Statements are few and constant, so each is prepared once on each connection, under a name. It
 * is made of the text, so that no name ever stands for another statement, whoever prepared it.
 *
 * @param named false where a connection changes sessions, and nobody takes its names along.
 */
export function prepared(text: string, values: unknown[] | undefined, named: boolean): QueryConfig {
  if (values === undefined) return { text };
  if (!named) return { text, values };
  let name = names.get(text);
  if (name === undefined) {
    name = `tallystick_${createHash('sha256').update(text).digest('hex').slice(0, 20)}`;
    names.set(text, name);
  }
  return { name, text, values };
}

/** A connection's statements met those of others: sessions are shared, and nobody said so. */
export class SharedSessionError extends SetupError {
  readonly code: string | undefined;

  constructor(cause: Error) {
    super(
      `${cause.message}: what is in front of the database shares sessions between transactions. Set TALLYSTICK_POOLER=transaction and start again.`,
      { cause },
    );
    this.code = sqlstate(cause);
  }
}

/** Says of an error what its operator is to do, where that is known. */
export function explained(error: unknown): unknown {
  return isMixedUp(error) && !(error instanceof SharedSessionError)
    ? new SharedSessionError(error as Error)
    : error;
}
