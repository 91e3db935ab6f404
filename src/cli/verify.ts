import { type Difference, type VerifyReport, verifyLedger } from '../ledger/index.js';
import { withLedger } from './engine.js';
import { EXIT } from './exit.js';
import { type OutputFlags, ProgressLine, print } from './output.js';
import type { Settings } from './settings.js';

/** Proves the ledger from its entries. Any difference makes the exit code 1. */
export async function verify(settings: Settings, flags: OutputFlags): Promise<void> {
  const report = await prove(settings);
  print(flags, presentReport(report), describe(report));
}

/** The same without a word of what it found. */
export async function prove(settings: Settings): Promise<VerifyReport> {
  const line = new ProgressLine();
  const report = await withLedger(settings, (engine) =>
    verifyLedger(engine, {
      onProgress: ({ store, walk, done, total }) => {
        const percent = total === 0 ? 100 : Math.floor((done * 100) / total);
        line.show(`verify: ${percent} % of ${total} rows (store ${store}, ${walk})`);
      },
    }),
  );
  line.clear();
  if (!report.clean) process.exitCode = EXIT.failed;
  return report;
}

export function presentReport({ differences, warnings, milliseconds, ...rest }: VerifyReport) {
  return {
    ...rest,
    milliseconds,
    differences: differences.map(presentDifference),
    warnings: warnings.map(presentDifference),
  };
}

function presentDifference(difference: Difference) {
  const { kind, count, storeId, transactionId, accountId, entryId, expected, found } = difference;
  return {
    kind,
    count,
    store_id: storeId,
    transaction_id: transactionId,
    account_id: accountId,
    entry_id: entryId,
    expected,
    found,
  };
}

export function describe({ clean, differences, warnings, ...counts }: VerifyReport): string {
  const seen =
    `${counts.entries} entries of ${counts.transactions} transactions, ` +
    `${counts.accounts} accounts and ${counts.stores} stores in ${counts.milliseconds / 1000} s`;
  const lines = [
    `${clean ? 'Clean' : 'Not clean'}: ${seen}.`,
    ...differences.map(lineOf),
    ...warnings.map((warning) => `Warning: ${lineOf(warning)}`),
  ];
  return lines.join('\n');
}

function lineOf(difference: Difference): string {
  const { kind, count, storeId, transactionId, accountId, entryId, expected, found } = difference;
  const at = [entryId ?? transactionId, accountId, storeId].filter((id) => id !== undefined);
  const values =
    expected === undefined ? '' : `: expected ${expected}, found ${found ?? 'nothing'}`;
  return `${kind} (${count}), the first at ${at.join(' of ')}${values}`;
}
