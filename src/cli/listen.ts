import { keyFault } from '../ledger/index.js';
import { UsageError } from './settings.js';

/**
 * Forwards a store's events to a server on this machine. It makes a `cli` webhook over the API,
 * polls its feed, posts each event with the headers that a real delivery has, acknowledges it
 * with the local answer, and deletes the webhook when it ends.
 */

export interface ListenFlags {
  readonly forwardTo?: string;
  readonly url?: string;
  readonly apiKey?: string;
  readonly events?: string;
}

interface PendingEvent {
  readonly id: string;
  readonly event_type: string;
  readonly body: string;
  readonly headers: Record<string, string>;
}

type Call = (method: string, path: string, body?: object) => Promise<unknown>;

const POLL_MS = 500;
const POLL_FAILED_MS = 2_000;
const FEED_MAX = 100;
const FORWARD_MS_MAX = 15_000;
const CALL_MS_MAX = 30_000;
const ANSWER_MAX = 10_000;
const UNREACHABLE = 503;

/** The API refused a call: nothing that a second try would change. */
class RefusedError extends Error {}

/** @throws {UsageError} where a flag cannot be used or the server refuses the webhook. */
export async function listen(flags: ListenFlags): Promise<void> {
  const target = httpUrl('--forward-to', flags.forwardTo ?? '');
  const call = caller(flags);
  const end = new AbortController();
  const stop = () => end.abort();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const webhook = await register(call, flags);
  const path = `/v1/webhooks/${webhook.id}`;
  print(`Forwarding to ${target}. Signing secret: ${webhook.secret}`);
  try {
    while (!end.signal.aborted) await pause(await forwardPending(call, path, target, end), end);
  } finally {
    await call('DELETE', path).catch((error: Error) => {
      print(`The webhook ${webhook.id} could not be deleted: ${error.message}`);
    });
  }
  print('Stopped; the webhook is deleted.');
}

async function register(call: Call, { events }: ListenFlags) {
  const body = {
    delivery_mode: 'cli',
    name: 'tallystick listen',
    ...(events === undefined ? {} : { events: events.split(',').map((each) => each.trim()) }),
  };
  try {
    return (await call('POST', '/v1/webhooks', body)) as { id: string; secret: string };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** @returns how long to wait before the next look, in milliseconds. */
async function forwardPending(
  call: Call,
  path: string,
  target: string,
  end: AbortController,
): Promise<number> {
  try {
    const feed = `${path}/events/pending?limit=${FEED_MAX}`;
    const { items } = (await call('GET', feed)) as { items: PendingEvent[] };
    for (const event of items) {
      if (end.signal.aborted) return 0;
      const { status, text } = await forward(event, target);
      print(`${new Date().toISOString()} ${event.event_type} ${event.id} -> ${status}`);
      const body = { status_code: status, response_body: text };
      await call('POST', `${path}/events/${event.id}/ack`, body);
    }
    return items.length === FEED_MAX ? 0 : POLL_MS;
  } catch (error) {
    if (error instanceof RefusedError) throw new UsageError(error.message);
    print(`Cannot reach the server, trying again: ${(error as Error).message}`);
    return POLL_FAILED_MS;
  }
}

/** Sends the exact bytes that were signed; an unreachable server counts as 503. */
async function forward({ body, headers }: PendingEvent, target: string) {
  try {
    const answer = await fetch(target, {
      method: 'POST',
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(FORWARD_MS_MAX),
    });
    const text = (await answer.text()).slice(0, ANSWER_MAX);
    return { status: answer.status, text };
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    return { status: UNREACHABLE, text: String((cause as Error).message).slice(0, ANSWER_MAX) };
  }
}

function caller(flags: ListenFlags): Call {
  const { env } = process;
  const base = httpUrl('--url', flags.url || env.TALLYSTICK_URL || 'http://127.0.0.1:4400');
  const key = flags.apiKey || env.TALLYSTICK_API_KEY || '';
  const fault = keyFault(key);
  if (fault !== undefined) throw new UsageError(`--api-key cannot be used: ${fault}.`);
  return async (method, path, body) => {
    const answer = await fetch(base.replace(/\/$/, '') + path, {
      method,
      headers: {
        'x-api-key': key,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CALL_MS_MAX),
    });
    const text = await answer.text();
    if (answer.ok) return JSON.parse(text);
    const message = `The server answered ${answer.status}: ${messageOf(text)}`;
    throw answer.status < 500 && answer.status !== 429
      ? new RefusedError(message)
      : new Error(message);
  };
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return text.slice(0, 200);
  }
}

function httpUrl(flag: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`${flag} must be an http or https URL, not "${text}".`);
}

function pause(milliseconds: number, { signal }: AbortController): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
