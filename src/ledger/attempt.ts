import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Attempt } from '../store/outbox.js';
import type { Address, AddressGuard, Target } from './address.js';
import type { Connections } from './connections.js';
import { storable } from './storable.js';

/** One POST to one endpoint, with everything about it bounded. */

/** Of an answer's body nothing is kept; this much is read, so that the sender ends in peace. */
const ANSWER_BYTES_MAX = 64 * 1024;
const RETRY_AFTER_MS_MAX = 24 * 60 * 60 * 1000;
const ERROR_LENGTH_MAX = 300;

/** What a receiver that does not know the secret answers. */
const REFUSALS = new Set([400, 401, 403]);

export interface Answered {
  readonly attempt: Attempt;
  /** How long the receiver asked to be left alone, in milliseconds. */
  readonly retryAfter: number | null;
}

export interface Post {
  readonly url: string;
  readonly body: string;
  /** One set for each secret; the next is tried at once where a receiver refuses the one before. */
  readonly headerSets: readonly Record<string, string>[];
  /** For the whole attempt, in milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/** What a request meets on a connection that its receiver has closed. */
const STALE = new Set(['ECONNRESET', 'EPIPE']);

/** Checks the address and posts to it; never throws, for a failure is an attempt's outcome. */
export async function attempt(
  guard: AddressGuard,
  connections: Connections,
  post: Post,
): Promise<Answered> {
  const at = new Date().toISOString();
  const started = performance.now();
  const done = (status: number | null, error: string | null, retryAfter: number | null = null) => ({
    attempt: {
      at,
      latency_ms: Math.round(performance.now() - started),
      response_status: status,
      error: error === null ? null : storable(error, ERROR_LENGTH_MAX),
    },
    retryAfter,
  });
  try {
    const target = await guard.check(post.url);
    if ('fault' in target) return done(null, `not called: ${target.fault}`);
    const deadline = started + post.timeout;
    for (const [index, headers] of post.headerSets.entries()) {
      const agent = connections.agentFor(target);
      const answer =
        (await send(target, post, { agent, headers, deadline })) ??
        (await send(target, post, { agent: false, headers, deadline }))!;
      const last = index === post.headerSets.length - 1;
      if (last || !REFUSALS.has(answer.status)) {
        return done(answer.status, null, retryAfterOf(answer.retryAfter));
      }
    }
    throw new Error('no headers to send');
  } catch (error) {
    return done(null, error instanceof Error ? error.message : String(error));
  }
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

interface Sending {
  /** False for a connection of its own. */
  readonly agent: http.Agent | false;
  readonly headers: Record<string, string>;
  /** By this process's clock (`performance.now`). */
  readonly deadline: number;
}

/** @returns undefined where it took a kept connection that turned out to be closed. */
function send(
  { url, addresses }: Target,
  post: Post,
  { agent, headers, deadline }: Sending,
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method: 'POST',
      agent,
      lookup: pinned(addresses),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(post.body),
        'user-agent': 'Tallystick-Webhooks/1',
        ...headers,
      },
      ...(post.signal === undefined ? {} : { signal: post.signal }),
    });
    // A time-out for the whole of it: one that is set anew at each byte can be drawn out.
    const timer = setTimeout(() => {
      request.destroy(new Error(`no answer within ${post.timeout} ms`));
    }, deadline - performance.now());
    const settle = (act: () => void) => {
      clearTimeout(timer);
      act();
    };
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && STALE.has(error.code ?? '');
      settle(() => (isStale ? resolve(undefined) : reject(error)));
    });
    request.on('response', (response) => {
      const answer = {
        status: response.statusCode!,
        retryAfter: response.headers['retry-after'],
      };
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= ANSWER_BYTES_MAX) return;
        settle(() => resolve(answer));
        request.destroy();
      });
      response.on('end', () => {
        settle(() => resolve(answer));
        // A receiver that answers before it has read all of the request is not written to again.
        if (!request.writableFinished) request.destroy();
      });
      response.on('error', (error) => settle(() => reject(error)));
    });
    request.end(post.body);
  });
}

/** A look-up that knows nothing but the addresses that were checked. */
function pinned(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    if (options.all) callback(null, [...addresses]);
    else callback(null, addresses[0]!.address, addresses[0]!.family);
  };
}

/** Seconds or an HTTP date (RFC 9110 section 10.2.3), as milliseconds from now; at most a day. */
export function retryAfterOf(text: string | undefined, now = Date.now()): number | null {
  if (text === undefined) return null;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? null : Math.min(Math.max(wait, 0), RETRY_AFTER_MS_MAX);
}
