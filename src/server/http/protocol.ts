import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { refuse } from '../../core/errors.js';
import type { WireRefusal } from '../present/wire-refusal.js';
import type { Answer } from './exchange.js';
import { HEAD_BYTES_MAX, HEADERS_MAX } from './limits.js';

/**
 * What HTTP itself asks of a request. Node would answer these faults by itself, without a body,
 * so it is told not to, and everything that a caller ever reads has the same envelope.
 */

const NO_HOST = refuse('validation_error', 'The header Host is missing. HTTP/1.1 requires it.');
// RFC 9112, section 3.2: a proxy in front might have gone by the other one.
const TWO_HOSTS = refuse('validation_error', 'The header Host comes twice. Send it once.');
const UNEXPECTED = refuse(
  'expectation_failed',
  'This server meets no expectation but 100-continue. Leave the header Expect out.',
);
const HEAD_TOO_LARGE = refuse(
  'headers_too_large',
  `The head has more than ${HEADERS_MAX} headers or ${HEAD_BYTES_MAX} bytes. Send fewer headers or a shorter address.`,
);
const CHUNKS_TOO_LARGE = refuse(
  'payload_too_large',
  'The chunk extensions of the body are too large. Leave them out.',
);
const LATE = refuse(
  'request_timeout',
  'The request took too long to arrive. Send it again without a pause: 10 seconds for the head, 30 for all of it.',
);
export const NO_PROXY = refuse(
  'method_not_allowed',
  'This server is no proxy and answers no CONNECT. Send the request to its own address.',
);
export const FULL = refuse(
  'overloaded',
  'The server has as many connections as it takes. Try again after a moment.',
);
export const BODY_GAVE_WAY = refuse(
  'overloaded',
  'Too many bodies are arriving at once, and this one for longest. Try again after a moment.',
);

/** Why a request that could be read is refused before its route is looked at. */
export function unfit(request: IncomingMessage, isExpecting: boolean): WireRefusal | undefined {
  // Node keeps no more than the limit, so a route would be asked about a request with gaps.
  if (request.rawHeaders.length > 2 * HEADERS_MAX) return HEAD_TOO_LARGE;
  const { httpVersionMajor: major, httpVersionMinor: minor } = request;
  const needsHost = major > 1 || (major === 1 && minor > 0);
  const hosts = countHosts(request.rawHeaders);
  if (needsHost && hosts === 0) return NO_HOST;
  if (hosts > 1) return TWO_HOSTS;
  return isExpecting ? UNEXPECTED : undefined;
}

/** How many Host headers there are among names and values; Node itself shows the first alone. */
function countHosts(raw: readonly string[]): number {
  let count = 0;
  for (let place = 0; place < raw.length; place += 2) {
    const name = raw[place]!;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}

/** What a sender is told whose request could not be read to its end. */
export function unread({ code = 'malformed' }: Error & { code?: string }): WireRefusal {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return LATE;
    case 'HPE_HEADER_OVERFLOW':
      return HEAD_TOO_LARGE;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return CHUNKS_TOO_LARGE;
    default:
      return refuse(
        'validation_error',
        `The request could not be read as HTTP/1.1 (${code}). Check its first line, its headers and the length of its body.`,
      );
  }
}

/** An answer as bytes, for a connection on which there is no request to answer. */
export function asText({ status, headers, body }: Answer & { body: string }): string {
  const all = { ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`;
}
