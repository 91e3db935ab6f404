import { chmodSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeFS } from '@electric-sql/pglite/nodefs';
import { SetupError } from '../store/schema/migrate.js';

/** Keeps an embedded directory to its owner: directories 0700, files 0600. */

/** The permissions of the group and of all others. */
const OTHERS = 0o077;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * Takes from a directory and all in it what others may do with them, such as in one that was made
 * by an earlier version or came out of an archive. What is in order already is not written to.
 *
 * @throws {SetupError} where something belongs to another user.
 */
export function makePrivate(path: string): void {
  // Windows has no such permissions.
  if (process.platform === 'win32') return;
  mend(path, DIRECTORY_MODE);
  const entries = readdirSync(path, { withFileTypes: true });
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) makePrivate(child);
    // What a link leads to is outside of this directory, and not ours.
    else if (entry.isFile()) mend(child, FILE_MODE);
  }
}

function mend(path: string, mode: number): void {
  const { mode: found, uid } = lstatSync(path);
  if ((found & OTHERS) === 0) return;
  try {
    chmodSync(path, mode);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new SetupError(
      `Others can read ${path}, and that cannot be changed: it belongs to user ${uid} (${cause}). Start tallystick as that user, or give the whole directory to its own with chown -R.`,
    );
  }
}

interface Attributes {
  readonly mode?: number;
}

/** The part of the engine's file system that sets permissions; the published types leave it out. */
interface NodeOperations {
  node_ops: { setattr(node: unknown, attributes: Attributes): void };
  stream_ops: { setattr(stream: unknown, attributes: Attributes): void };
}

/**
 * The engine unpacks its files with mode 0666, makes others with 0644, and sets the mode of each
 * with chmod, so that no umask helps. Where it asks for a mode it gets its owner's part of it.
 *
 * @param Files the engine's own file system, which is loaded only where it is used.
 */
export function privateFiles(Files: typeof NodeFS, path: string): NodeFS {
  class PrivateFiles extends Files {
    override async init(...[pg, options]: Parameters<NodeFS['init']>) {
      const preRun = [
        ...(options.preRun ?? []),
        (module: object) => keepPrivate((module as { NODEFS: NodeOperations }).NODEFS),
      ];
      return super.init(pg, { ...options, preRun });
    }
  }
  return new PrivateFiles(path);
}

function keepPrivate({ node_ops, stream_ops }: NodeOperations): void {
  const { setattr } = node_ops;
  const setattrOfStream = stream_ops.setattr;
  node_ops.setattr = (node, attributes) => setattr(node, ownersPart(attributes));
  stream_ops.setattr = (stream, attributes) => setattrOfStream(stream, ownersPart(attributes));
}

function ownersPart(attributes: Attributes): Attributes {
  const { mode } = attributes;
  return mode === undefined ? attributes : { ...attributes, mode: mode & ~OTHERS };
}
