import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { refuse } from '../core/errors.js';
import type { App } from './app.js';
import {
  BODY_BYTES_MAX,
  CUT_SHORT,
  type Incoming,
  NOT_UTF8,
  type Read,
  TOO_LARGE,
} from './exchange.js';
import { problem } from './problem.js';
import { requestIdOf } from './request-id.js';

export interface Listening {
  readonly url: string;
  /** Stops accepting, lets what is in flight be answered, and resolves when all is closed. */
  close(): Promise<void>;
}

/** How long requests in flight may take to finish once the server stops. */
const DRAIN_MS_MAX = 10_000;
const IDLE_CHECK_MS = 20;
/** How long the head and the whole of a request may take to arrive: slow senders hold sockets. */
const HEAD_MS_MAX = 10_000;
const REQUEST_MS_MAX = 30_000;
const KEEP_ALIVE_MS = 65_000;

/** Serves an app over HTTP. @throws where the address cannot be listened on. */
export async function listen(
  app: Pick<App, 'respond'>,
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  const server = createServer((request, response) => void carry(app, request, response));
  server.headersTimeout = HEAD_MS_MAX;
  server.requestTimeout = REQUEST_MS_MAX;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.on('clientError', refuseUnparsed);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { url: `http://${name}:${address.port}`, close: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A client that keeps its connection would go on using it, so it is told not to; and one whose
  // request was already being answered has its connection closed once that is done.
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive = false;
  });
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS_MAX);
  await closed;
  clearInterval(idle);
  clearTimeout(timer);
}

async function carry(
  app: Pick<App, 'respond'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, headers, body } = await app.respond(new NodeIncoming(request));
  if (typeof body !== 'string') {
    response.writeHead(status, headers);
    // Where the caller goes away, or a page cannot be read, the rest is never sent.
    await pipeline(body, response).catch(() => response.destroy());
    return;
  }
  const bytes = Buffer.byteLength(body);
  response.writeHead(status, { ...headers, 'content-length': bytes });
  // What is left of a body that was refused would be taken for the next request.
  if (!request.complete && status >= 400) response.shouldKeepAlive = false;
  if (request.method === 'HEAD') response.end();
  // Plain ASCII, which nearly every answer is, is written faster as what it is.
  else response.end(body, bytes === body.length ? 'latin1' : 'utf8');
}

class NodeIncoming implements Incoming {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly #request: IncomingMessage;

  constructor(request: IncomingMessage) {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.method = request.method ?? 'GET';
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? '' : url.slice(mark + 1);
    this.#request = request;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  text(): Promise<Read<string>> {
    return readText(this.#request);
  }
}

function readText(request: IncomingMessage): Promise<Read<string>> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      // The rest still flows and is thrown away, so that the answer can reach its sender.
      if (length > BODY_BYTES_MAX) resolve({ refusal: TOO_LARGE });
      else chunks.push(chunk);
    });
    request.on('end', () => {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      resolve(isUtf8(bytes) ? { value: bytes.toString() } : { refusal: NOT_UTF8 });
    });
    // A sender that went away is no failure of the server, and nobody reads this answer.
    request.on('error', () => resolve({ refusal: CUT_SHORT }));
  });
}

/** Answers what is not HTTP, or came too slowly, in the same envelope as everything else. */
function refuseUnparsed(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const message = `The request could not be read as HTTP (${error.code ?? 'malformed'}).`;
  const { status, headers, body } = problem(
    refuse('validation_error', message),
    requestIdOf(undefined),
  );
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${status} Bad Request\r\n${head.join('')}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
