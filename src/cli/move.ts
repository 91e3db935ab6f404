import {
  exportLedger,
  importLedger,
  listStores,
  type MovedRows,
  migrate,
  parseId,
} from '../ledger/index.js';
import { openEngine, withLedger } from './engine.js';
import { CommandError } from './exit.js';
import { type OutputFlags, ProgressLine, print } from './output.js';
import type { Settings } from './settings.js';
import { verify } from './verify.js';

export interface ExportFlags extends OutputFlags {
  readonly store?: string;
}

/** Writes all stores, or one, to a file that `import` reads. */
export async function runExport(settings: Settings, file: string, flags: ExportFlags) {
  const progress = counter('export');
  const rows = await withLedger(settings, async (engine) => {
    const all = await listStores(engine.reader);
    const wanted = flags.store;
    if (wanted === undefined) return exportLedger(engine, file, undefined, progress.add);
    const id = parseId('store', wanted);
    const [store, another] = all.filter((each) => each.id === id || each.name === wanted);
    if (store === undefined || another !== undefined) {
      throw new CommandError(`There is not exactly one store ${wanted}. Give its id.`);
    }
    return exportLedger(engine, file, store.id, progress.add);
  });
  progress.clear();
  print(flags, { file, rows }, `Exported ${sum(rows)} rows to ${file}.`);
}

/** Fills an empty database from a file, and proves it. */
export async function runImport(settings: Settings, file: string, flags: OutputFlags) {
  const progress = counter('import');
  const engine = await openEngine(settings);
  try {
    await migrate(engine);
    const rows = await importLedger(engine, file, progress.add);
    progress.clear();
    if (!flags.json) print(flags, undefined, `Imported ${sum(rows)} rows from ${file}.`);
  } finally {
    await engine.close();
  }
  await verify(settings, flags);
}

function counter(command: string) {
  const line = new ProgressLine();
  const began = performance.now();
  let done = 0;
  return {
    add: (rows: number) => {
      done += rows;
      const perSecond = Math.round((done * 1000) / Math.max(1, performance.now() - began));
      line.show(`${command}: ${done} rows, ${perSecond} a second`);
    },
    clear: () => line.clear(),
  };
}

function sum(rows: MovedRows): number {
  return Object.values(rows).reduce((total, each) => total + each, 0);
}
