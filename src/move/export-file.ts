import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { NEWEST } from '../store/schema/migrate.js';
import { MOVED_TABLES, type RowTexts } from '../store/schema/move.js';

/** The file that a ledger is moved by: docs/moving.md has its format. */

/** A file or a database that cannot be used for this; its message is one line for people. */
export class MoveError extends Error {}

export const FORMAT = 'tallystick-export';
export const VERSION = 1;
/** How long one line may be, in bytes; `export` makes lines of about a megabyte. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;
const NEWLINE = 10;

/** How many rows of each table. */
export type MovedRows = Record<string, number>;
export type OnMoved = (done: number, total: number) => void;

export interface Header {
  readonly format: string;
  readonly version: number;
  /** The number of the newest migration. */
  readonly schema: number;
  readonly created_at: string;
  readonly stores: readonly { id: string; name: string; mode: string }[];
  /** By table: the names of its columns, in the order of the values of a row. */
  readonly columns: Readonly<Record<string, readonly string[]>>;
}

/** A file that has been read to its end once, and is whole. */
export interface ExportFile {
  readonly path: string;
  readonly header: Header;
  /** Of all lines but the last, which states it. */
  readonly sha256: string;
  readonly rows: MovedRows;
}

/**
 * Reads all of a file, so that what is cut short or damaged is refused before anything is done.
 *
 * @param onRead is told how many bytes have been read of how many.
 * @throws {MoveError} where it is no whole export that this program can read.
 */
export async function checkExport(path: string, onRead: OnMoved = () => {}): Promise<ExportFile> {
  const hash = createHash('sha256');
  let header: Header | undefined;
  let rows: MovedRows | undefined;
  let sha256: string | undefined;
  let table = 0;
  for await (const line of readLines(path, onRead)) {
    // What follows a statement that was the last of its kind.
    if (sha256 !== undefined) throw damaged(path);
    if (header === undefined) header = toHeader(path, line);
    else if (rows === undefined) {
      const found = MOVED_TABLES.findIndex((name) =>
        startsWith(line, `{"table":"${name}","rows":[`),
      );
      if (found >= table) table = found;
      else rows = toJson<{ rows: MovedRows }>(path, line, '{"rows":{').rows;
    } else {
      sha256 = hash.copy().digest('hex');
      if (toJson<{ sha256: string }>(path, line, '{"sha256":').sha256 !== sha256) {
        throw damaged(path);
      }
    }
    hash.update(line).update('\n');
  }
  if (header === undefined || rows === undefined || sha256 === undefined) throw damaged(path);
  return { path, header, sha256, rows };
}

/** A line of rows, and the number of it among those of its kind; the first is 1. */
export interface Chunk {
  readonly table: string;
  readonly line: number;
  readonly rows: readonly RowTexts[];
}

/**
 * The rows of a file that was checked.
 *
 * @throws {MoveError} before it ends, where the file is another one meanwhile.
 */
export async function* readChunks({ path, sha256 }: ExportFile): AsyncGenerator<Chunk> {
  const hash = createHash('sha256');
  let number = 0;
  let last: Buffer | undefined;
  for await (const line of readLines(path)) {
    if (last !== undefined) hash.update(last).update('\n');
    last = line;
    if (!startsWith(line, '{"table":')) continue;
    number++;
    yield { ...toJson<{ table: string; rows: RowTexts[] }>(path, line, '{'), line: number };
  }
  if (hash.digest('hex') !== sha256)
    throw new MoveError(`${path} was changed while it was read. Import it again as it was.`);
}

/** One line at a time: what comes after it waits in the file. */
async function* readLines(path: string, onRead: OnMoved = () => {}): AsyncGenerator<Buffer> {
  const total = sizeOf(path);
  const unzipped = createGunzip();
  const file = createReadStream(path);
  const piped = pipeline(file, unzipped);
  piped.catch(() => {});
  let parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const bytes of unzipped) {
      let rest: Buffer = bytes;
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
        yield Buffer.concat([...parts, rest.subarray(0, end)]);
        [parts, length, rest] = [[], 0, rest.subarray(end + 1)];
      }
      parts.push(rest);
      length += rest.length;
      if (length > LINE_BYTES_MAX) throw damaged(path);
      onRead(file.bytesRead, total);
    }
    await piped;
  } catch (error) {
    throw isOfFile(error) ? unreadable(path, error) : isOfZip(error) ? damaged(path) : error;
  }
  if (length > 0) throw damaged(path);
}

function sizeOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isFile() !== true) throw new MoveError(`There is no file ${path}.`);
  return stats.size;
}

function isOfFile(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

function isOfZip(error: unknown): boolean {
  return String((error as { code?: unknown } | null)?.code).startsWith('Z_');
}

function unreadable(path: string, { message }: Error): MoveError {
  return new MoveError(`${path} cannot be read (${message}).`);
}

export function damaged(path: string): MoveError {
  return new MoveError(`${path} is cut short or damaged. Export it again.`);
}

function startsWith(line: Buffer, text: string): boolean {
  return line.toString('latin1', 0, text.length) === text;
}

function toJson<T>(path: string, line: Buffer, beginning: string): T {
  if (!startsWith(line, beginning)) throw damaged(path);
  try {
    return JSON.parse(line.toString());
  } catch {
    throw damaged(path);
  }
}

function toHeader(path: string, line: Buffer): Header {
  if (!startsWith(line, `{"format":"${FORMAT}"`)) {
    throw new MoveError(`${path} is no export of tallystick.`);
  }
  const header = toJson<Header>(path, line, '{');
  if (header.version !== VERSION || header.schema !== NEWEST) {
    throw new MoveError(
      `${path} has format ${header.version} and schema ${header.schema}; this tallystick reads format ${VERSION} and schema ${NEWEST}. Use the tallystick that exported it.`,
    );
  }
  return header;
}
