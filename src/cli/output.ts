/** Standard output carries data, standard error carries talk. */

export interface OutputFlags {
  readonly json?: boolean;
}

/** Writes what a command is about: JSON where it was asked for, text for people otherwise. */
export function print(flags: OutputFlags, data: unknown, text: string): void {
  const body = flags.json ? JSON.stringify(data, null, 2) : text;
  if (body !== '') process.stdout.write(`${body}\n`);
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** One line on a terminal that is written over and over, and nothing anywhere else. */
export class ProgressLine {
  readonly #isShown = process.stderr.isTTY === true;
  #lastAt = 0;

  show(text: string): void {
    if (!this.#isShown || performance.now() - this.#lastAt < 100) return;
    this.#lastAt = performance.now();
    process.stderr.write(`\r\u001b[K${text}`);
  }

  clear(): void {
    if (this.#isShown && this.#lastAt > 0) process.stderr.write('\r\u001b[K');
  }
}

const COLORS = { ok: 32, warn: 33, fail: 31 } as const;

/** Colours a word on a terminal, unless NO_COLOR is set (no-color.org). */
export function colored(word: keyof typeof COLORS): string {
  const isPlain = process.stdout.isTTY !== true || Boolean(process.env.NO_COLOR);
  return isPlain ? word.padEnd(4) : `\u001b[${COLORS[word]}m${word.padEnd(4)}\u001b[0m`;
}

/** Lays rows out in columns, the first of which is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
