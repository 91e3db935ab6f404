import type { Client, QueryConfig } from 'pg';
import type { Result } from './db.js';

/** What a session or a transaction is set to. */
export type Settings = Readonly<Record<string, string | number>>;

/** What a pooler in front of the database leaves of a connection's session. */
export type PoolerMode = 'transaction' | 'prepared' | 'session';

/** How sessions are lent to connections. */
export interface Lending {
  /** True where the transactions of one connection may run in different sessions. */
  readonly pooled: boolean;
  /** True where named statements are found in whatever session it is. */
  readonly named: boolean;
}

export function lendingOf(mode: PoolerMode): Lending {
  return { pooled: mode !== 'session', named: mode !== 'transaction' };
}

/** Sets them for as long as a connection lasts. */
export function setSession(settings: Settings): string {
  return listed('set', settings);
}

/** Sets them for one transaction, in the message that begins it: no further round trip. */
export function beginWith(begin: string, settings: Settings): string {
  return `${begin}; ${listed('set local', settings)}`;
}

function listed(verb: string, settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${verb} ${name} = ${value}`)
    .join('; ');
}

/**
 * Runs one statement as a transaction of its own, with its settings, in one round trip.
 *
 * @param client one with pipelining.
 */
export async function runAlone(
  client: Pick<Client, 'query'>,
  statement: QueryConfig,
  settings: Settings,
): Promise<Result> {
  return (
    await allAnswered([
      client.query(beginWith('begin', settings)),
      client.query(statement),
      client.query('commit'),
    ])
  )[1]!;
}

/** @throws the error of the first that failed, once all have been answered. */
export async function allAnswered(sent: readonly Promise<Result>[]): Promise<Result[]> {
  const answers = await Promise.allSettled(sent);
  return answers.map((answer) => {
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  });
}
