/** Something that is due, and its place among what is due at the same instant. */
export interface Item {
  readonly at: number;
  /** The lower comes first. */
  readonly rank: number;
}

/** What is due: whatever is added at whatever time, the earliest is taken first. */
export class Agenda<Due extends Item> {
  /** The latest first, so that taking the earliest moves nothing. */
  readonly #items: Due[];

  constructor(items: Due[]) {
    this.#items = items.sort((a, b) => b.at - a.at || b.rank - a.rank);
  }

  /** The earliest, which stays. */
  get first(): Due | undefined {
    return this.#items.at(-1);
  }

  /** It moves what is due before it, and what is added while others are settled is due soon. */
  add(item: Due): void {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { at, rank } = this.#items[middle]!;
      if (at > item.at || (at === item.at && rank > item.rank)) low = middle + 1;
      else high = middle;
    }
    this.#items.splice(low, 0, item);
  }

  /** Takes the earliest, and all that are of its instant and rank. */
  takeFirst(): Due[] {
    const taken: Due[] = [];
    for (let next = this.first; next !== undefined; next = this.first) {
      const [head = next] = taken;
      if (next.at !== head.at || next.rank !== head.rank) break;
      taken.push(next);
      this.#items.pop();
    }
    return taken;
  }
}
