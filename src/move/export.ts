import { createHash } from 'node:crypto';
import {
  closeSync,
  createWriteStream,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { formatId } from '../core/id.js';
import type { Engine, Lane } from '../store/engine/db.js';
import { listStores } from '../store/read/directory.js';
import { NEWEST, schemaFault } from '../store/schema/migrate.js';
import { MOVED_TABLES, readChunks, readColumns, readNow, setForms } from '../store/schema/move.js';
import { beginSnapshot } from '../store/verify/verify.js';
import { FORMAT, type Header, type MovedRows, MoveError, VERSION } from './export-file.js';

/** Takes a ledger out of a database, into a file. */

/**
 * One snapshot from its beginning to its end. A snapshot cannot outlive its connection, so an
 * export that was ended early begins again.
 *
 * @param onMoved is told how many rows are in the file.
 * @throws {MoveError} where the file is there already or cannot be written, or where the database
 * cannot be exported by this program.
 */
export async function exportLedger(
  engine: Engine,
  path: string,
  storeId?: string,
  onMoved: (rows: number) => void = () => {},
): Promise<MovedRows> {
  if (existsSync(path)) throw new MoveError(`${path} is there already. Choose another name.`);
  const part = `${path}.partial`;
  const file = openPart(part);
  const { ino } = fstatSync(file);
  const counts: MovedRows = {};
  try {
    await engine.onSession(async (lane) => {
      await beginSnapshot(lane);
      // What this program does not know of a newer schema would be left out.
      const fault = await schemaFault(lane);
      if (fault !== undefined) throw new MoveError(fault);
      await setForms(lane);
      const lines = Readable.from(linesOf(lane, storeId, counts, onMoved));
      await pipeline(lines, createGzip(), createWriteStream(part, { fd: file, flush: true }));
      await lane.commit({});
    });
    if (statSync(part, { throwIfNoEntry: false })?.ino !== ino) {
      throw new MoveError(`Another export to ${path} has begun. Wait for its end.`);
    }
    renameSync(part, path);
    syncFolder(path);
  } catch (error) {
    if (statSync(part, { throwIfNoEntry: false })?.ino === ino) rmSync(part);
    throw error;
  }
  return counts;
}

/** What an export that was killed has left is of no use. */
function openPart(part: string): number {
  try {
    rmSync(part, { force: true });
    return openSync(part, 'wx', 0o600);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new MoveError(`${part} cannot be written (${cause}). Choose another place.`);
  }
}

/** Makes the file's name survive a power cut as well. */
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

async function* linesOf(
  lane: Lane,
  storeId: string | undefined,
  counts: MovedRows,
  onMoved: (rows: number) => void,
): AsyncGenerator<string> {
  const hash = createHash('sha256');
  const hashed = (line: string) => {
    hash.update(line).update('\n');
    return `${line}\n`;
  };
  const columns = await readColumns(lane);
  const stores = (await listStores(lane)).filter(({ id }) => id === (storeId ?? id));
  const header: Header = {
    format: FORMAT,
    version: VERSION,
    schema: NEWEST,
    created_at: await readNow(lane),
    stores: stores.map(({ id, name, mode }) => ({ id: formatId('store', id), name, mode })),
    columns: Object.fromEntries(
      MOVED_TABLES.map((table) => [table, columns.get(table)!.map(({ name }) => name)]),
    ),
  };
  yield hashed(JSON.stringify(header));
  let done = 0;
  for (const table of MOVED_TABLES) {
    counts[table] = 0;
    for await (const rows of readChunks(lane, table, columns.get(table)!, storeId)) {
      counts[table] += rows.length;
      done += rows.length;
      onMoved(done);
      yield hashed(`{"table":"${table}","rows":[${rows.join(',')}]}`);
    }
  }
  yield hashed(JSON.stringify({ rows: counts }));
  yield `${JSON.stringify({ sha256: hash.digest('hex') })}\n`;
}
