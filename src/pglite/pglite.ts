import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import type { Db, Engine, Lane, Result } from '../store/engine/db.js';
import { laneOver } from '../store/engine/db.js';
import { SetupError } from '../store/schema/migrate.js';
import { lockDirectory } from './lock-file.js';
import { makePrivate, privateFiles } from './private.js';

/** The PostgreSQL major of the pinned PGlite; a directory of another one cannot be opened. */
const POSTGRES_MAJOR = '18';

/**
 * Opens embedded PostgreSQL: one process, one session.
 *
 * @param directory where the data lives; undefined keeps it in memory.
 * @throws {SetupError} where the directory is in use, damaged, of another PostgreSQL major, or
 * open to others and not ours to change.
 */
export async function openPglite(
  directory?: string,
  { mustExist = false }: { mustExist?: boolean } = {},
): Promise<Engine> {
  if (directory === undefined) return engineOver(await create(undefined));
  const path = resolve(directory);
  if (mustExist && isVacant(path)) {
    throw new SetupError(
      `There is no data in ${path}. Start tallystick serve once, or set TALLYSTICK_DATA_DIR or DATABASE_URL.`,
    );
  }
  mkdirSync(dirname(path), { recursive: true });
  const unlock = lockDirectory(path);
  try {
    checkDirectory(path);
    if (existsSync(path)) makePrivate(path);
    return engineOver(await openDirectory(path), path, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

function isVacant(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

/** Refuses what is not a whole data directory of this major, before anything could touch it. */
function checkDirectory(path: string): void {
  if (isVacant(path)) return;
  const version = join(path, 'PG_VERSION');
  if (!existsSync(version) || !existsSync(join(path, 'global', 'pg_control'))) {
    throw new SetupError(
      `${path} is half-created, or holds something else than data of tallystick: nothing was changed. Move it away, or choose another TALLYSTICK_DATA_DIR.`,
    );
  }
  const major = readFileSync(version, 'utf8').trim();
  if (major !== POSTGRES_MAJOR) {
    throw new SetupError(
      `The data directory ${path} is of PostgreSQL ${major}, and this tallystick embeds ${POSTGRES_MAJOR}. Open it with the tallystick that made it, and move the data to a PostgreSQL server.`,
    );
  }
}

async function openDirectory(path: string): Promise<PGlite> {
  if (!existsSync(path)) await createWhole(path);
  try {
    return await create(path);
  } catch (error) {
    if (error instanceof SetupError) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new SetupError(
      `The data directory ${path} cannot be opened (${cause}). It may be damaged: nothing was changed. Move it away to start anew, or restore a copy.`,
    );
  }
}

/**
 * Creates a directory under another name, and renames it once it is whole: a first start that is
 * killed leaves nothing behind that the next one could stumble over.
 */
async function createWhole(path: string): Promise<void> {
  const draft = `${path}.new`;
  const attempt = async () => {
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    await (await create(draft)).close();
  };
  // An engine now and then fails to initialise where a directory was just deleted.
  await attempt().catch(attempt);
  renameSync(draft, path);
}

async function create(path: string | undefined): Promise<PGlite> {
  const [{ PGlite }, { NodeFS }] = await Promise.all([
    import('@electric-sql/pglite'),
    import('@electric-sql/pglite/nodefs'),
  ]).catch(() => {
    throw new SetupError(
      'The embedded engine is not installed. Run npm install @electric-sql/pglite, or set DATABASE_URL.',
    );
  });
  return PGlite.create(path === undefined ? {} : { fs: privateFiles(NodeFS, path) });
}

/**
 * Makes an engine of an open PGlite.
 *
 * @param path where its data lives; undefined where that is in memory.
 * @param unlock leaves the path to others; called once it is closed.
 */
export function engineOver(database: PGlite, path?: string, unlock = () => {}): Engine {
  const session = new Session();
  const db: Db = {
    async query(text, values) {
      const result = await database.query(text, values as never[] | undefined);
      return result as unknown as Result;
    },
  };
  const reader: Db = { query: (text, values) => session.alone(() => db.query(text, values)) };
  const onLane = <T>(work: (lane: Lane) => Promise<T>) =>
    session.alone(async () => {
      const lane = laneOver(db);
      try {
        return await work(lane);
      } catch (error) {
        await lane.rollback();
        throw error;
      }
    });
  return {
    kind: 'pglite',
    promise:
      `embedded PGlite in ${path ?? 'memory'}: survives a crash of this process, ` +
      'not a power cut. For production set DATABASE_URL.',
    reader,
    keys: reader,
    worker: reader,
    lanes: 1,
    onLane,
    onWaitingLane: onLane,
    onSession: onLane,
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
