/**
 * Lets deliveries give way to movements. Each attempt costs Node and the network several times
 * what a debit costs, so while the ledger is busy an endpoint is delivered to at a modest rate,
 * and what waits in the outbox is caught up on afterwards. Under ordinary load there is no limit.
 */
export class Pace {
  readonly #commands: () => number;
  readonly #now: () => number;
  #sampledAt: number;
  #sampled: number;
  #busy = false;

  /** @param commands counts the commands that the ledger has been given since it started. */
  constructor(commands: () => number = () => 0, now: () => number = () => performance.now()) {
    this.#commands = commands;
    this.#now = now;
    this.#sampledAt = now();
    this.#sampled = commands();
  }

  /** Whether the ledger was given more than `BUSY_COMMANDS_PER_S` of late. */
  get busy(): boolean {
    const elapsed = this.#now() - this.#sampledAt;
    if (elapsed >= PACE_WINDOW_MS) {
      const commands = this.#commands();
      this.#busy = ((commands - this.#sampled) * 1000) / elapsed > BUSY_COMMANDS_PER_S;
      this.#sampled = commands;
      this.#sampledAt += elapsed;
    }
    return this.#busy;
  }
}

export const BUSY_COMMANDS_PER_S = 1_000;
export const PACE_WINDOW_MS = 100;
/** How many attempts one endpoint gets in a window while the ledger is busy. */
export const PACED_ATTEMPTS = 10;
