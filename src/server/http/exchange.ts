import { refuse } from '../../core/errors.js';
import type { WireRefusal } from '../present/wire-refusal.js';

/**
 * A request and its answer, whatever carries them: Node's own HTTP server, or a fetch handler in
 * somebody else's application. Nothing between is needed, and leaving out the conversion to
 * Request and Response objects saves a third of what a request costs Node.
 */
export interface Incoming {
  readonly method: string;
  /** The path as it was sent, percent-encoded, without the query. */
  readonly path: string;
  /** What follows the question mark; empty where there is none. */
  readonly query: string;
  header(name: string): string | undefined;
  /** Reads the body as UTF-8; empty where there is none. */
  text(): Promise<Read<string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** Text, or pieces of text that are sent as they come. */
  readonly body: string | AsyncIterable<string>;
}

export type Read<T> = { readonly value: T } | { readonly refusal: WireRefusal };

/** The largest body that is read. */
export const BODY_BYTES_MAX = 512 * 1024;

export const TOO_LARGE = refuse(
  'payload_too_large',
  `The body is larger than ${BODY_BYTES_MAX} bytes. Send fewer items in one request.`,
);

export const NOT_UTF8 = refuse('invalid_json', 'The body is not UTF-8 text. Send JSON in UTF-8.');

export const CUT_SHORT = refuse(
  'invalid_json',
  'The connection was closed within the body. Send all of it again.',
);

/** Tells whoever makes the pieces that no more are wanted, even where none was ever asked for. */
export async function letGo(body: AsyncIterable<string>): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}
