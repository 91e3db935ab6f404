/** Something that is due, and its place among what is due at the same instant. */
export interface Item {
  readonly at: number;
  /** The lower comes first. */
  readonly rank: number;
}

/**
 * What is due, in any number: whatever is added at whatever time, the earliest is taken first. A
 * binary heap, for a sorted list would be moved as a whole by much of what is added.
 */
export class Agenda<Due extends Item> {
  readonly #heap: Due[] = [];

  /** The earliest, which stays. */
  get first(): Due | undefined {
    return this.#heap[0];
  }

  add(item: Due): void {
    const heap = this.#heap;
    let place = heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = item;
  }

  /** Takes the earliest, and all that are of its instant and rank. */
  takeFirst(): Due[] {
    const taken: Due[] = [];
    const head = this.first;
    while (this.first?.at === head?.at && this.first?.rank === head?.rank) {
      const item = this.#take();
      if (item === undefined) break;
      taken.push(item);
    }
    return taken;
  }

  #take(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

function isBefore(a: Item, b: Item): boolean {
  return a.at < b.at || (a.at === b.at && a.rank < b.rank);
}
