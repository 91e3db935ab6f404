import {
  checkExport,
  exportLedger,
  importLedger,
  listStores,
  type MovedRows,
  parseId,
} from '../ledger/index.js';
import { openEngine, withLedger } from './engine.js';
import { CommandError } from './exit.js';
import { type OutputFlags, ProgressLine, print, say } from './output.js';
import { checkSecrets, readSecretKeys } from './secrets.js';
import type { Settings } from './settings.js';
import { describe, presentReport, prove } from './verify.js';

export interface ExportFlags extends OutputFlags {
  readonly store?: string;
}

/** Writes all stores, or one, to a file that `import` reads. */
export async function runExport(settings: Settings, file: string, flags: ExportFlags) {
  const line = new ProgressLine();
  const began = performance.now();
  const onMoved = (done: number) => line.show(`export: ${done} rows, ${speed(done, began)}`);
  const rows = await withLedger(settings, async (engine) => {
    const all = await listStores(engine.reader);
    const wanted = flags.store;
    if (wanted === undefined) return exportLedger(engine, file, undefined, onMoved);
    const id = parseId('store', wanted);
    const [store, another] = all.filter((each) => each.id === id || each.name === wanted);
    if (store === undefined || another !== undefined) {
      throw new CommandError(`There is not exactly one store ${wanted}. Give its id.`);
    }
    return exportLedger(engine, file, store.id, onMoved);
  });
  line.clear();
  print(flags, { file, rows }, `Exported ${sum(rows)} rows to ${file}.`);
}

/** Fills an empty database from a file, or goes on with that, and proves it. */
export async function runImport(settings: Settings, file: string, flags: OutputFlags) {
  const keys = readSecretKeys(process.env);
  const line = new ProgressLine();
  const checked = await checkExport(file, (done, total) =>
    line.show(`import: checking the file, ${percent(done, total)} %`),
  );
  // A directory for embedded data is made only once there is something to fill it with.
  const engine = await openEngine(settings);
  const began = performance.now();
  let skipped: number;
  try {
    skipped = await importLedger(engine, checked, (done, total) => {
      line.show(`import: ${percent(done, total)} % of ${total} rows, ${speed(done, began)}`);
    });
    line.clear();
    const { status, message } = await checkSecrets(engine.reader, keys);
    if (status === 'fail') say(`Signing secrets: ${message}`);
  } finally {
    await engine.close();
  }
  const total = sum(checked.rows);
  const before = skipped === 0 ? '' : `, of which ${skipped} were in already`;
  if (!flags.json) print(flags, undefined, `Imported ${total} rows from ${file}${before}.`);
  const report = await prove(settings);
  const data = { file, rows: checked.rows, skipped, verify: presentReport(report) };
  print(flags, data, describe(report));
}

function percent(done: number, total: number): number {
  return total === 0 ? 100 : Math.floor((done * 100) / total);
}

/** @param began as `performance.now()` had it. */
function speed(rows: number, began: number): string {
  return `${Math.round((rows * 1000) / Math.max(1, performance.now() - began))} a second`;
}

function sum(rows: MovedRows): number {
  return Object.values(rows).reduce((total, each) => total + each, 0);
}
