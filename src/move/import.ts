import type { Engine, Lane } from '../store/engine/db.js';
import { sqlstate } from '../store/engine/sqlstate.js';
import { isUnfinished, migrate, pendingMigrations, UNFINISHED } from '../store/schema/migrate.js';
import {
  analyzeTables,
  type Columns,
  claimEmpty,
  createProgress,
  endProgress,
  hasStores,
  lockProgress,
  MOVED_TABLES,
  readColumns,
  setForms,
  writeChunk,
  writeProgress,
} from '../store/schema/move.js';
import {
  type Chunk,
  damaged,
  type ExportFile,
  MoveError,
  type OnMoved,
  readChunks,
} from './export-file.js';

/** Puts a ledger into a database, from a file; decision 32. */

/** How many rows one transaction takes at most: what an import that is killed has to do again. */
const COMMIT_ROWS = 20_000;

const NOT_EMPTY =
  'The database has stores already. Import into an empty one: a new database, or one before its first serve.';
const ANOTHER = 'Another import into this database is at work. Wait for its end.';
/** The tables from whose first row on nothing is committed before the end. */
const LAST_TABLE = MOVED_TABLES.at(-1)!;

/**
 * Migrates the database and fills it, or goes on where an import of the same file ended early.
 * Each transaction notes in the database how far it came; the last one gives the ledger free.
 *
 * @returns how many rows were in already, from a run that ended early.
 * @throws {MoveError} where the database has stores, or the file does not fit it.
 */
export async function importLedger(
  engine: Engine,
  file: ExportFile,
  onMoved: OnMoved = () => {},
  commitRows = COMMIT_ROWS,
): Promise<number> {
  await prepare(engine);
  const before = await engine.onSession((lane) =>
    new Import(lane, file, onMoved, commitRows).run(),
  );
  await engine.onSession(analyzeTables);
  return before;
}

/** What is refused here is refused before anything has changed. */
async function prepare(engine: Engine): Promise<void> {
  if (await isUnfinished(engine.reader)) {
    if ((await pendingMigrations(engine.reader)).length === 0) return;
    throw new MoveError(
      'The import that is not finished was begun by an older tallystick. Finish it with that one, or start with an empty database.',
    );
  }
  if (await engine.onSession(hasStores)) throw new MoveError(NOT_EMPTY);
  await migrate(engine);
}

/** One run over the file, on a session of its own. */
class Import {
  readonly #lane: Lane;
  readonly #file: ExportFile;
  readonly #onMoved: OnMoved;
  readonly #commitRows: number;

  constructor(lane: Lane, file: ExportFile, onMoved: OnMoved, commitRows: number) {
    this.#lane = lane;
    this.#file = file;
    this.#onMoved = onMoved;
    this.#commitRows = commitRows;
  }

  async run(): Promise<number> {
    const total = Object.values(this.#file.rows).reduce((sum, count) => sum + count, 0);
    const columns = columnsOf(this.#file, await readColumns(this.#lane));
    await this.#begin();
    const before = await this.#claim();
    let [done, skipped, uncommitted] = [0, 0, 0];
    let writing = Promise.resolve();
    for await (const chunk of readChunks(this.#file)) {
      if (chunk.line <= before) {
        done += chunk.rows.length;
        skipped = done;
        continue;
      }
      // While the database writes one chunk the next one is read.
      await writing;
      if (uncommitted + chunk.rows.length > this.#commitRows && chunk.table !== LAST_TABLE) {
        await this.#commitAt(chunk.line - 1);
        uncommitted = 0;
      }
      this.#onMoved(done, total);
      writing = this.#write(chunk, columns);
      // It is awaited above; until then its failure is nobody's.
      writing.catch(() => {});
      uncommitted += chunk.rows.length;
      done += chunk.rows.length;
    }
    await writing;
    if (done !== total) throw damaged(this.#file.path);
    await endProgress(this.#lane);
    await this.#lane.commit({});
    return skipped;
  }

  async #begin(): Promise<void> {
    await this.#lane.begin({});
    await setForms(this.#lane);
  }

  /** @returns how many lines of rows are in already. */
  async #claim(): Promise<number> {
    const { sha256, path } = this.#file;
    if (await isUnfinished(this.#lane)) {
      const progress = await lockProgress(this.#lane);
      if (progress === undefined) throw new MoveError(ANOTHER);
      if (progress.sha256 === sha256) return progress.lines;
      throw new MoveError(
        `An import of another file than ${path} is not finished. Go on with that file, or start with an empty database.`,
      );
    }
    if (!(await claimEmpty(this.#lane))) {
      throw new MoveError((await isUnfinished(this.#lane)) ? ANOTHER : NOT_EMPTY);
    }
    await createProgress(this.#lane, sha256);
    return 0;
  }

  /** Whatever happens from here on, these lines are in, and that they are is noted. */
  async #commitAt(line: number): Promise<void> {
    await writeProgress(this.#lane, line);
    await this.#lane.commit({});
    await this.#begin();
    if ((await lockProgress(this.#lane))?.lines !== line) throw new MoveError(ANOTHER);
  }

  async #write({ table, rows }: Chunk, columns: Columns): Promise<void> {
    const wanted = columns.get(table)!;
    if (rows.some((row) => row.length !== wanted.length)) throw damaged(this.#file.path);
    if (table === 'stores') {
      // Until the end nothing may write into these, and nothing works in them by itself.
      const schema = wanted.findIndex(({ name }) => name === 'schema');
      for (const row of rows) row[schema] = String(UNFINISHED.schema);
    }
    try {
      await writeChunk(this.#lane, table, wanted, rows);
    } catch (error) {
      if (!/^2[23]/.test(sqlstate(error) ?? '')) throw error;
      const cause = error instanceof Error ? error.message : String(error);
      throw new MoveError(
        `The database refuses rows of ${table} (${cause}). Mend the cause and import again, or start with an empty database.`,
      );
    }
  }
}

/** The columns of the database in the order of the file. */
function columnsOf({ path, header }: ExportFile, known: Columns): Columns {
  return new Map(
    MOVED_TABLES.map((table) => {
      const names = header.columns?.[table] ?? [];
      const columns = known.get(table)!;
      const [unknown] = names.filter((name) => !columns.some((column) => column.name === name));
      const [missing] = columns.filter(({ name }) => !names.includes(name));
      if (unknown !== undefined || missing !== undefined || names.length !== columns.length) {
        const what = unknown === undefined ? `lacks ${missing?.name}` : `has ${unknown}`;
        throw new MoveError(
          `${path} does not fit this database: its table ${table} ${what}. Use the tallystick that exported it.`,
        );
      }
      return [table, names.map((name) => columns.find((column) => column.name === name)!)];
    }),
  );
}
