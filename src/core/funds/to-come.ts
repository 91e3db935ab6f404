/** Credits that were in the posted balance before they could be used. */
export interface ToCome {
  /** The place in the account's history from which on they were in its balance. */
  readonly seq: number;
  /** Negative where they were taken back. */
  readonly amount: bigint;
  /** The first instant at which they could be used. */
  readonly effectiveAt: number;
}

/** A line of a history: its place, and when it was posted. */
interface Line {
  readonly seq: number;
  readonly createdAt: number;
}

/**
 * What was still to come right after each line. Several lines can bear one instant, so it is the
 * place of a line that says what had happened, and its instant only what had begun.
 *
 * @param lines of one account, oldest first; some may be left out.
 * @param toCome at least all that was still to come at one of them.
 */
export function pendingAfter(lines: readonly Line[], toCome: Iterable<ToCome>): bigint[] {
  const changes = new Array<bigint>(lines.length + 1).fill(0n);
  for (const { seq, amount, effectiveAt } of toCome) {
    const from = firstOf(lines, (line) => line.seq >= seq);
    const until = firstOf(lines, (line) => line.createdAt >= effectiveAt);
    if (from >= until) continue;
    changes[from]! += amount;
    changes[until]! -= amount;
  }
  let pending = 0n;
  return lines.map((_, index) => {
    pending += changes[index]!;
    return pending;
  });
}

/** The first line of which a condition holds, as it does of all later ones; by halving. */
function firstOf(lines: readonly Line[], holds: (line: Line) => boolean): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(lines[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
