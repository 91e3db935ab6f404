import type { IncomingMessage } from 'node:http';
import type { WireRefusal } from '../present/wire-refusal.js';
import { Body } from './body.js';
import { CUT_SHORT, type Read } from './exchange.js';
import type { Room } from './room.js';

/**
 * A body on its way. It knows nothing of its exchange: Node keeps a request, and what listens to
 * it, until the next one on the connection, and what is kept for so long does not die young.
 */
export class Arrival {
  readonly read: Promise<Read<string>>;
  readonly #bodies: Room<Arrival>;
  readonly #announced: number;
  /** Undefined once it is settled. */
  #body: Body | undefined = new Body();
  #resolve!: (read: Read<string>) => void;

  /** @param bodies what all bodies share that are not whole. */
  constructor(request: IncomingMessage, bodies: Room<Arrival>) {
    this.#bodies = bodies;
    this.#announced = Number(request.headers['content-length'] ?? Infinity);
    this.read = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    request.on('data', (piece: Buffer) => this.#add(piece));
    request.on('end', () => {
      if (this.#body !== undefined) this.#settle(this.#body.read());
    });
    // A sender that went away is no failure of the server, and nobody reads this answer.
    request.on('error', () => this.refuse(CUT_SHORT));
  }

  /** Gives up what is still to come: whoever waits for it gets the refusal. */
  refuse(refusal: WireRefusal): void {
    if (this.#body !== undefined) this.#settle({ refusal });
  }

  #add(piece: Buffer): void {
    const body = this.#body;
    // The rest still flows and is thrown away, so that the answer can reach its sender.
    if (body === undefined) return;
    const { size } = body;
    if (!body.add(piece)) this.#settle(body.read());
    // Nearly every body comes in one piece, and is done with at once.
    else if (body.length < this.#announced) this.#bodies.take(this, body.size - size);
  }

  #settle(read: Read<string>): void {
    this.#body = undefined;
    this.#bodies.free(this);
    this.#resolve(read);
  }
}
