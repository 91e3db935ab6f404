/** How long a failure of writes counts where nothing has been written since. */
const FAULT_MS = 2_000;
/** How often a failure that goes on is told again. */
const REMIND_MS = 60_000;

/** Told when writes begin to fail, now and then while they do, and when they work again. */
export interface WriteHealthLog {
  failing(cause: unknown, fault: string): void;
  working(): void;
}

/** Whether writes work, as far as the last of them tell. */
export class WriteHealth {
  #log: WriteHealthLog = { failing: () => {}, working: () => {} };
  #fault: string | undefined;
  #failedAt = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Sets who is told of failures, which many callers may share. */
  report(log: WriteHealthLog): void {
    this.#log = log;
  }

  /** Why writes fail; undefined where they work, or none has been tried for a while. */
  get fault(): string | undefined {
    return performance.now() - this.#failedAt < FAULT_MS ? this.#fault : undefined;
  }

  /** @param fault for operators, such as `/readyz` shows it; without secrets. */
  failed(fault: string, cause: unknown): void {
    const now = performance.now();
    const isNews = fault !== this.#fault || now - this.#toldAt > REMIND_MS;
    this.#fault = fault;
    this.#failedAt = now;
    if (!isNews) return;
    this.#toldAt = now;
    this.#log.failing(cause, fault);
  }

  worked(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#log.working();
  }
}
