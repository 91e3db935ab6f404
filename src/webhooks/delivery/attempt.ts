import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Attempt } from '../../store/webhooks/outbox.js';
import { storable } from '../storable.js';
import type { Address, AddressGuard, Target } from './address.js';
import type { Connections } from './connections.js';

/** One POST to one endpoint, with everything about it bounded. */

/** Of an answer's body nothing is kept; this much is read, so that the sender ends in peace. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** How many answers of the kind of 100 Continue may come before the one that counts. */
const INTERIM_ANSWERS_MAX = 20;
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

/** What an attempt ended with; an error stands for no answer. */
type End = Answer | { readonly error: string };

/**
 * Checks the address and posts to it; never throws, for a failure is an attempt's outcome. It
 * settles at its time-out or at the signal, whatever the receiver does or leaves undone.
 */
export async function attempt(
  guard: AddressGuard,
  connections: Connections,
  post: Post,
): Promise<Answered> {
  const at = new Date().toISOString();
  const started = performance.now();
  const until = started + post.timeout;
  const end = await endOf(post, (over) => exchange(guard, connections, post, { over, until }));
  const answered = 'status' in end ? end : undefined;
  return {
    attempt: {
      at,
      latency_ms: Math.round(performance.now() - started),
      response_status: answered?.status ?? null,
      error: 'error' in end ? storable(end.error, ERROR_LENGTH_MAX) : null,
    },
    retryAfter: retryAfterOf(answered?.retryAfter),
  };
}

/**
 * What some work comes to, or that it came too late: a timer and the signal settle this by
 * themselves, so that it depends on no event of a socket and on no resolver.
 *
 * @param work is told by its signal that it is over, however it ended.
 */
function endOf({ timeout, signal }: Post, work: (over: AbortSignal) => Promise<End>): Promise<End> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const settle = (end: End) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      resolve(end);
      over.abort();
    };
    const stop = () => settle({ error: 'cut short, for the server stopped' });
    const timer = setTimeout(() => settle({ error: `no answer within ${timeout} ms` }), timeout);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
    else work(over.signal).then(settle, (error: unknown) => settle({ error: messageOf(error) }));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function exchange(
  guard: AddressGuard,
  connections: Connections,
  post: Post,
  bounds: Bounds,
): Promise<End> {
  const target = await guard.check(post.url);
  if ('fault' in target) return { error: `not called: ${target.fault}` };
  let answer: Answer | undefined;
  for (const headers of post.headerSets) {
    // An attempt that has ended meanwhile is noted as failed, so nothing may be sent any more.
    bounds.over.throwIfAborted();
    const agent = connections.agentFor(target);
    answer =
      (await send(target, post, { ...bounds, agent, headers })) ??
      (await send(target, post, { ...bounds, agent: false, headers }))!;
    if (!REFUSALS.has(answer.status)) break;
  }
  if (answer === undefined) throw new Error('no headers to send');
  return answer;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

interface Bounds {
  /** Ends the request, whatever state it is in. */
  readonly over: AbortSignal;
  /** When nothing may be sent any more, by `performance.now`. */
  readonly until: number;
}

interface Sending extends Bounds {
  /** False for a connection of its own. */
  readonly agent: http.Agent | false;
  readonly headers: Record<string, string>;
}

/** @returns undefined where it took a kept connection that turned out to be closed. */
function send(
  { url, addresses }: Target,
  post: Post,
  { agent, headers, over, until }: Sending,
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
    });
    const cut = () => request.destroy();
    over.addEventListener('abort', cut);
    const settle = (act: () => void) => {
      // Its connection may be serving the next attempt by the time that this one is over.
      over.removeEventListener('abort', cut);
      act();
    };
    const answered = (response: http.IncomingMessage) => {
      const { statusCode, headers } = response;
      settle(() => resolve({ status: statusCode!, retryAfter: headers['retry-after'] }));
    };
    const failed = (error: Error) => settle(() => reject(error));
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && STALE.has(error.code ?? '');
      if (isStale) settle(() => resolve(undefined));
      else failed(error);
    });
    request.on('close', () => failed(new Error('the connection was closed before an answer')));
    // 101 has no body: what follows is another protocol, which nobody asked for.
    request.on('upgrade', (response, socket) => {
      answered(response);
      socket.destroy();
    });
    let interim = 0;
    request.on('information', () => {
      if (++interim > INTERIM_ANSWERS_MAX) request.destroy(new Error('too many interim answers'));
    });
    request.on('response', (response) => receive(request, response, { answered, failed }));
    onceConnected(request, () => {
      if (performance.now() < until) request.end(post.body);
      else request.destroy(new Error('too late to send: the process was stopped meanwhile'));
    });
  });
}

/**
 * Acts once a request has a connection on which something can be sent. A process that goes on
 * after it was stopped for a while hears of connections before its timers end what is over; by
 * then another server may deliver, so whoever sends looks at the time here.
 */
function onceConnected(request: http.ClientRequest, act: () => void): void {
  request.once('socket', (socket) => {
    if (request.reusedSocket) act();
    else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', act);
  });
}

interface Settling {
  answered(response: http.IncomingMessage): void;
  failed(error: Error): void;
}

/** Reads an answer to its end, or as much of it as is read at most. */
function receive(
  request: http.ClientRequest,
  response: http.IncomingMessage,
  { answered, failed }: Settling,
): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= ANSWER_BYTES_MAX) return;
    answered(response);
    request.destroy();
  });
  response.on('end', () => {
    answered(response);
    // A receiver that answers before it has read all of the request is not written to again.
    if (!request.writableFinished) request.destroy();
  });
  response.on('error', failed);
  response.on('close', () => failed(new Error('the answer was cut short')));
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
