import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Engine, Lane } from '../store/db.js';
import { NEWEST, newerMigration } from '../store/migrate.js';
import { claimEmpty, readChunks, readColumns, writeChunk } from '../store/move.js';
import { sqlstate } from '../store/sqlstate.js';
import { LEDGER_TABLES } from '../store/tables.js';
import { beginSnapshot } from '../store/verify.js';

/** Takes a ledger out of one database and into another, by a file; see docs/moving.md. */

/** A file or a database that cannot be used for this; its message is one line for people. */
export class MoveError extends Error {}

export type MovedRows = Record<string, number>;
export type OnMoved = (rows: number) => void;

const FORMAT = 'tallystick-export';
const VERSION = 1;
const DAMAGED = 'is cut short or damaged: nothing was imported. Export it again.';

/** @throws {MoveError} where the file is there already, or the schema is newer than known here. */
export async function exportLedger(
  engine: Engine,
  file: string,
  storeId?: string,
  onMoved: OnMoved = () => {},
): Promise<MovedRows> {
  if (existsSync(file)) throw new MoveError(`${file} is there already. Choose another name.`);
  const part = `${file}.part`;
  const counts: MovedRows = {};
  try {
    await engine.onSession(async (lane) => {
      await beginSnapshot(lane);
      // What this program does not know of a newer schema would be left out.
      const newer = await newerMigration(lane);
      if (newer !== undefined) throw new MoveError(newer);
      await lane.query("set local timezone = 'UTC'");
      const lines = Readable.from(linesOf(lane, storeId, counts, onMoved));
      rmSync(part, { force: true });
      await pipeline(lines, createGzip(), createWriteStream(part, { mode: 0o600, flags: 'wx' }));
      await lane.commit({});
    });
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
  return counts;
}

async function* linesOf(
  lane: Lane,
  storeId: string | undefined,
  counts: MovedRows,
  onMoved: OnMoved,
): AsyncGenerator<string> {
  const hash = createHash('sha256');
  const hashed = (line: string) => {
    hash.update(`${line}\n`);
    return `${line}\n`;
  };
  yield hashed(JSON.stringify({ format: FORMAT, version: VERSION, schema: NEWEST }));
  const columns = await readColumns(lane);
  for (const table of LEDGER_TABLES) {
    counts[table] = 0;
    for await (const rows of readChunks(lane, table, columns.get(table)!, storeId)) {
      counts[table] += rows.length;
      onMoved(rows.length);
      yield hashed(`{"table":"${table}","rows":[${rows.join(',')}]}`);
    }
  }
  yield `${JSON.stringify({ end: true, rows: counts, sha256: hash.digest('hex') })}\n`;
}

/**
 * One transaction: it commits once the end of the file has confirmed all that came before.
 *
 * @param engine of a migrated database.
 * @throws {MoveError} where the database has stores, or the file cannot be used.
 */
export async function importLedger(
  engine: Engine,
  file: string,
  onMoved: OnMoved = () => {},
): Promise<MovedRows> {
  return engine.onSession(async (lane) => {
    await lane.begin({});
    try {
      if (!(await claimEmpty(lane))) {
        throw new MoveError(
          'The database has stores already. Import into an empty one, before its first serve.',
        );
      }
      const counts = await load(lane, file, onMoved);
      await lane.commit({});
      return counts;
    } catch (error) {
      await lane.rollback();
      // Text that is no JSON, and rows that fit no table: the file is not as it was written.
      if (/^2[23]/.test(sqlstate(error) ?? '')) throw new MoveError(`${file} ${DAMAGED}`);
      throw error;
    }
  });
}

async function load(lane: Lane, file: string, onMoved: OnMoved): Promise<MovedRows> {
  const hash = createHash('sha256');
  const columns = await readColumns(lane);
  const counts: MovedRows = Object.fromEntries(LEDGER_TABLES.map((table) => [table, 0]));
  let lines = 0;
  let isWhole = false;
  for await (const line of readLines(file)) {
    if (isWhole) throw new MoveError(`${file} ${DAMAGED}`);
    if (lines++ === 0) checkHeader(file, line);
    else if (line.startsWith('{"end":')) {
      const sha256 = hash.digest('hex');
      isWhole = line === JSON.stringify({ end: true, rows: counts, sha256 });
      if (!isWhole) throw new MoveError(`${file} ${DAMAGED}`);
      continue;
    } else {
      const [, table = '', rows = ''] = /^\{"table":"(\w+)","rows":(\[.*\])\}$/.exec(line) ?? [];
      if (!(table in counts)) throw new MoveError(`${file} ${DAMAGED}`);
      const written = await writeChunk(lane, table, columns.get(table)!, rows);
      counts[table] = counts[table]! + written;
      onMoved(written);
    }
    hash.update(`${line}\n`);
  }
  if (!isWhole) throw new MoveError(`${file} ${DAMAGED}`);
  return counts;
}

async function* readLines(file: string): AsyncGenerator<string> {
  if (!existsSync(file)) throw new MoveError(`There is no file ${file}.`);
  const unzipped = createGunzip();
  const piped = pipeline(createReadStream(file), unzipped);
  piped.catch(() => {});
  try {
    for await (const line of createInterface({ input: unzipped, crlfDelay: 0 })) yield line;
    await piped;
  } catch {
    throw new MoveError(`${file} ${DAMAGED}`);
  }
}

function checkHeader(file: string, line: string): void {
  let header: { format?: unknown; version?: unknown; schema?: unknown } = {};
  try {
    header = JSON.parse(line);
  } catch {
    // What is no JSON has no format, and is refused as such.
  }
  if (header.format !== FORMAT) throw new MoveError(`${file} is no export of tallystick.`);
  if (header.version !== VERSION || header.schema !== NEWEST) {
    throw new MoveError(
      `${file} has format ${header.version} and schema ${header.schema}; this tallystick reads format ${VERSION} and schema ${NEWEST}. Use the tallystick that exported it.`,
    );
  }
}
