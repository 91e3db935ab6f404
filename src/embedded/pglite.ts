import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import type { Db, Engine, Lane, Result } from '../store/db.js';
import { laneOver } from '../store/db.js';
import { SetupError } from '../store/migrate.js';
import { lockDirectory } from './lock-file.js';

/** The PostgreSQL major of the pinned PGlite; a directory of another one cannot be opened. */
const POSTGRES_MAJOR = '18';

/**
 * Opens embedded PostgreSQL: one process, one session.
 *
 * @param directory where the data lives; undefined keeps it in memory.
 * @throws {SetupError} where the directory is in use, damaged or of another PostgreSQL major.
 */
export async function openPglite(directory?: string): Promise<Engine> {
  const path = directory === undefined ? undefined : resolve(directory);
  if (path !== undefined) mkdirSync(dirname(path), { recursive: true });
  const unlock = path === undefined ? () => {} : lockDirectory(path);
  try {
    if (path !== undefined) checkMajor(path);
    const database = await start(path);
    return engineOver(database, path, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

function checkMajor(path: string): void {
  const file = join(path, 'PG_VERSION');
  if (!existsSync(file)) return;
  const major = readFileSync(file, 'utf8').trim();
  if (major !== POSTGRES_MAJOR) {
    throw new SetupError(
      `The data directory ${path} is of PostgreSQL ${major}, and this tallystick embeds ${POSTGRES_MAJOR}. Open it with the tallystick that made it, and move the data to a PostgreSQL server.`,
    );
  }
}

async function start(path: string | undefined): Promise<PGlite> {
  const { PGlite } = await import('@electric-sql/pglite').catch(() => {
    throw new SetupError(
      'The embedded engine is not installed. Run npm install @electric-sql/pglite, or set DATABASE_URL.',
    );
  });
  try {
    return await PGlite.create({ ...(path === undefined ? {} : { dataDir: path }) });
  } catch (error) {
    // A first start now and then fails to initialise where a directory was just deleted.
    const fresh = path === undefined || !existsSync(join(path, 'PG_VERSION'));
    if (fresh) return PGlite.create({ ...(path === undefined ? {} : { dataDir: path }) });
    const cause = error instanceof Error ? error.message : String(error);
    throw new SetupError(
      `The data directory ${path} cannot be opened (${cause}). It may be half-created or damaged: nothing was changed. Move it away to start anew, or restore a copy.`,
    );
  }
}

function engineOver(database: PGlite, path: string | undefined, unlock: () => void): Engine {
  const session = new Session();
  const db: Db = {
    async query(text, values) {
      const result = await database.query(text, values as never[] | undefined);
      return result as unknown as Result;
    },
  };
  return {
    kind: 'pglite',
    promise:
      `embedded PGlite in ${path ?? 'memory'}: survives a crash of this process, ` +
      'not a power cut. For production set DATABASE_URL.',
    reader: { query: (text, values) => session.alone(() => db.query(text, values)) },
    lanes: 1,
    onLane: <T>(work: (lane: Lane) => Promise<T>) =>
      session.alone(async () => {
        try {
          return await work(laneOver(db));
        } catch (error) {
          await db.query('rollback');
          throw error;
        }
      }),
    async close() {
      await session.alone(() => database.close());
      unlock();
    },
  };
}

/** Lends the one session to one piece of work at a time, first come first served. */
class Session {
  #last: Promise<unknown> = Promise.resolve();

  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    // PGlite resolves in microtasks only. Without this pause a busy queue would keep the event
    // loop from its sockets and timers.
    this.#last = turn.then(pause, pause);
    return turn;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
