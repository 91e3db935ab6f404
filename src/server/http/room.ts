/**
 * Memory that many share. Whoever has had some of it for longest gives way when there is no more,
 * so that those who are quick always find room, whatever the slow ones do.
 */
export class Room<Holder> {
  readonly #bytesMax: number;
  readonly #giveWay: (holder: Holder) => void;
  /** Bytes by holder, in the order in which they began to hold any. */
  readonly #held = new Map<Holder, number>();
  #bytes = 0;

  /** @param giveWay is called for a holder that has lost its place. */
  constructor(bytesMax: number, giveWay: (holder: Holder) => void) {
    this.#bytesMax = bytesMax;
    this.#giveWay = giveWay;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(holder: Holder, bytes: number): void {
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + bytes);
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) {
      const [longest] = this.#held.keys();
      this.free(longest!);
      this.#giveWay(longest!);
    }
  }

  /** Gives back all that a holder has; one that has nothing is none. */
  free(holder: Holder): void {
    const bytes = this.#held.get(holder);
    if (bytes === undefined) return;
    this.#held.delete(holder);
    this.#bytes -= bytes;
  }
}
