import type { DueEvent } from '../../store/webhooks/outbox.js';

/**
 * What one endpoint is to be sent, in the order that is promised: of one account, the first
 * attempt at an event begins once the first attempt at the one before has ended, whatever came
 * of it. Later attempts wait for nobody, and accounts do not wait for each other.
 */
export class CourierQueue {
  /** Everything that is waiting, being attempted, or not yet settled in the database. */
  readonly #known = new Set<string>();
  /** Waiting events by account; the first one of an account that is busy is being attempted. */
  readonly #chains = new Map<string, DueEvent[]>();
  readonly #busy = new Set<string>();
  readonly #ready: string[] = [];
  #waiting = 0;

  get waiting(): number {
    return this.#waiting;
  }

  /** Events that the database still holds although this has taken them in. */
  get known(): number {
    return this.#known.size;
  }

  /** @returns how many of them are new. */
  add(events: readonly DueEvent[]): number {
    let added = 0;
    for (const event of events) {
      if (this.#known.has(event.eventId)) continue;
      this.#known.add(event.eventId);
      added++;
      this.#waiting++;
      const key = chainOf(event);
      const chain = this.#chains.get(key);
      if (chain === undefined) {
        this.#chains.set(key, [event]);
        this.#ready.push(key);
      } else {
        chain.push(event);
        // Two servers may give ids of one millisecond in either order; `seq` has the right one.
        if (event.seq < chain.at(-2)!.seq) {
          const rest = chain.splice(this.#busy.has(key) ? 1 : 0);
          chain.push(...rest.sort((a, b) => a.seq - b.seq));
        }
      }
    }
    return added;
  }

  /** Takes the next event that may be attempted now. */
  take(): DueEvent | undefined {
    const key = this.#ready.shift();
    if (key === undefined) return undefined;
    this.#waiting--;
    this.#busy.add(key);
    return this.#chains.get(key)![0]!;
  }

  /** Says that the attempt at an event has ended, so that its account's next one may begin. */
  attempted(event: DueEvent): void {
    const key = chainOf(event);
    const chain = this.#chains.get(key)!;
    chain.shift();
    this.#busy.delete(key);
    if (chain.length === 0) this.#chains.delete(key);
    else this.#ready.push(key);
  }

  /** Says that the database knows what came of it. */
  settled(eventId: string): void {
    this.#known.delete(eventId);
  }
}

function chainOf({ tries, accountId, eventId }: DueEvent): string {
  return tries === 0 ? accountId : eventId;
}
