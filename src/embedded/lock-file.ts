import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { SetupError } from '../store/migrate.js';

/**
 * PGlite does not notice a second process on its directory, and both would ruin it. So a file
 * beside the directory names the process that has it open.
 *
 * @returns a function that gives the directory free.
 * @throws {SetupError} where a living process has it.
 */
export function lockDirectory(directory: string): () => void {
  const path = `${directory}.lock`;
  for (;;) {
    try {
      const file = openSync(path, 'wx');
      writeSync(file, `${process.pid} ${startedAt(process.pid)}\n`);
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = readOwner(path);
    if (owner !== undefined && isAlive(owner)) {
      throw new SetupError(
        `The data directory ${directory} is in use by process ${owner.pid}. Stop it first, or choose another TALLYSTICK_DATA_DIR.`,
      );
    }
    rmSync(path, { force: true });
  }
}

interface Owner {
  readonly pid: number;
  readonly startedAt: string;
}

function readOwner(path: string): Owner | undefined {
  try {
    const [pid, started] = readFileSync(path, 'utf8').trim().split(' ');
    return pid ? { pid: Number(pid), startedAt: started ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

/** A process id is soon used again, in containers above all, so its start time must match too. */
function isAlive({ pid, startedAt: recorded }: Owner): boolean {
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
