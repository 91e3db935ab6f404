import { isUtf8 } from 'node:buffer';
import { refuse } from '../../core/errors.js';
import { BODY_BYTES_MAX, NOT_UTF8, type Read, TOO_LARGE } from './exchange.js';

/** The pieces in which a body may arrive; a network makes some hundreds of the largest one. */
export const BODY_PIECES_MAX = 10_000;

const TOO_MANY_PIECES = refuse(
  'payload_too_large',
  `The body comes in more than ${BODY_PIECES_MAX} pieces. Send it in larger chunks, or with a Content-Length.`,
);

/**
 * A body that arrives in pieces. They are copied together as they come: a piece of one byte costs
 * three hundred as an object of its own, and who sends it chooses how many there are.
 */
export class Body {
  #bytes: Uint8Array | undefined;
  #length = 0;
  #pieces = 0;

  /** How many bytes have arrived. */
  get length(): number {
    return this.#length;
  }

  /** How many bytes it keeps allocated. */
  get size(): number {
    return this.#bytes?.length ?? 0;
  }

  /** @returns false where the body is refused, and nothing of it is kept. */
  add(piece: Uint8Array): boolean {
    const length = this.#length + piece.length;
    this.#length = length;
    this.#pieces++;
    if (length > BODY_BYTES_MAX || this.#pieces > BODY_PIECES_MAX) {
      this.#bytes = undefined;
      return false;
    }
    if (this.#bytes === undefined) {
      this.#bytes = piece;
      return true;
    }
    if (this.#bytes.length < length) {
      const larger = Buffer.allocUnsafe(Math.min(Math.max(2 * length, 1024), BODY_BYTES_MAX));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(piece, length - piece.length);
    return true;
  }

  read(): Read<string> {
    if (this.#length > BODY_BYTES_MAX) return { refusal: TOO_LARGE };
    if (this.#pieces > BODY_PIECES_MAX) return { refusal: TOO_MANY_PIECES };
    const kept = this.#bytes;
    if (kept === undefined) return { value: '' };
    const isWhole = kept.length === this.#length && Buffer.isBuffer(kept);
    const bytes = isWhole ? kept : Buffer.from(kept.buffer, kept.byteOffset, this.#length);
    return isUtf8(bytes) ? { value: bytes.toString() } : { refusal: NOT_UTF8 };
  }
}
