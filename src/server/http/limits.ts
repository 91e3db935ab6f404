/** What one server takes on at once, so that nobody outside can fill its memory or hold its end. */

/** Connections that are open; an idle one is closed for one more. */
export const CONNECTIONS_MAX = 2_000;
/** Connections beyond those, which wait for no more than to be told that the server is full. */
export const SURPLUS_MAX = 100;
/** Requests of one connection that are worked on or whose answers were not taken yet. */
export const REQUESTS_PER_CONNECTION_MAX = 8;
/**
 * Requests, of all connections, that were sent ahead of answers and are held until it is their
 * turn. A connection with any is not read from, but one read can bring two thousand.
 */
export const REQUESTS_HELD_MAX = 10_000;
/** Bytes of answers, of all connections, that their callers did not take yet. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of bodies, of all connections, of which the rest is still to come. */
export const PARTIAL_BODY_BYTES_MAX = 64 * 1024 * 1024;
/** Headers of one request, and the bytes of its whole head. */
export const HEADERS_MAX = 100;
export const HEAD_BYTES_MAX = 16 * 1024;
/** How long the head and the whole of a request may take to arrive: slow senders hold sockets. */
export const HEAD_MS_MAX = 10_000;
export const REQUEST_MS_MAX = 30_000;
/** How often that is looked at, and so how much later than promised a sender may be cut. */
const LATE_CHECK_MS = 500;
/** How long an answer waits for its caller without one byte of it being taken. */
export const STALL_MS_MAX = 30_000;
const KEEP_ALIVE_MS = 65_000;
/** How long a caller who was refused for good may take to read that, and a head to be complete. */
export const LINGER_MS_MAX = 1_000;
/**
 * How long requests in flight may take to finish once the server stops. The whole process has ten
 * seconds, and closing the database is a part of them.
 */
export const DRAIN_MS_MAX = 8_000;

export interface Limits {
  readonly connections: number;
  readonly surplus: number;
  readonly requestsPerConnection: number;
  readonly requestsHeld: number;
  readonly answerBytes: number;
  readonly partialBodyBytes: number;
  readonly headMs: number;
  readonly requestMs: number;
  readonly lateCheckMs: number;
  readonly stallMs: number;
  readonly keepAliveMs: number;
  readonly lingerMs: number;
  readonly drainMs: number;
}

export const LIMITS: Limits = {
  connections: CONNECTIONS_MAX,
  surplus: SURPLUS_MAX,
  requestsPerConnection: REQUESTS_PER_CONNECTION_MAX,
  requestsHeld: REQUESTS_HELD_MAX,
  answerBytes: ANSWER_BYTES_MAX,
  partialBodyBytes: PARTIAL_BODY_BYTES_MAX,
  headMs: HEAD_MS_MAX,
  requestMs: REQUEST_MS_MAX,
  lateCheckMs: LATE_CHECK_MS,
  stallMs: STALL_MS_MAX,
  keepAliveMs: KEEP_ALIVE_MS,
  lingerMs: LINGER_MS_MAX,
  drainMs: DRAIN_MS_MAX,
};
