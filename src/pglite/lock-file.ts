import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { SetupError } from '../store/schema/migrate.js';

const TRIES_MAX = 10;

/**
 * PGlite does not notice a second process on its directory, and both would ruin it. So a file
 * beside the directory names the process that has it open.
 *
 * The file appears whole, by a link, because a reader that found it still empty would take it for
 * one that a crash has left behind.
 *
 * @returns a function that gives the directory free.
 * @throws {SetupError} where a living process has it.
 */
export function lockDirectory(directory: string): () => void {
  const path = `${directory}.lock`;
  const own = `${path}.${process.pid}`;
  const text = `${process.pid} ${startedAt(process.pid)}\n`;
  writeFileSync(own, text, { mode: 0o600 });
  try {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (tryLink(own, path)) return () => release(path, text);
      const found = read(path);
      const owner = parse(found);
      if (owner !== undefined && isAlive(owner)) throw inUse(directory, `process ${owner.pid}`);
      if (found !== undefined) removeStale(path, own, found);
    }
    throw inUse(directory, 'another process');
  } finally {
    rmSync(own, { force: true });
  }
}

function tryLink(own: string, path: string): boolean {
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Another process may take the stale file over at the same time: what is moved away is looked at
 * again, and put back where it is no longer the stale one.
 */
function removeStale(path: string, own: string, stale: string): void {
  const aside = `${own}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (read(aside) !== stale) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function release(path: string, text: string): void {
  if (read(path) === text) rmSync(path, { force: true });
}

function inUse(directory: string, owner: string): SetupError {
  return new SetupError(
    `The data directory ${directory} is in use by ${owner}. Embedded data serves one process at a time: stop that one first, choose another TALLYSTICK_DATA_DIR, or use PostgreSQL (DATABASE_URL).`,
  );
}

interface Owner {
  readonly pid: number;
  readonly startedAt: string;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function parse(text: string | undefined): Owner | undefined {
  const [pid, started] = (text ?? '').trim().split(' ');
  return pid ? { pid: Number(pid), startedAt: started ?? '' } : undefined;
}

/** A process id is soon used again, in containers above all, so its start time must match too. */
function isAlive({ pid, startedAt: recorded }: Owner): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return startedAt(pid) === recorded;
}

/** When a process started, in the kernel's clock ticks; empty where the system does not say. */
function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
