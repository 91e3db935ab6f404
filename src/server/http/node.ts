import { createServer, IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { App } from '../app.js';
import { Carrier } from './carrier.js';
import { HEAD_BYTES_MAX, HEADERS_MAX, LIMITS, type Limits } from './limits.js';
import { NO_PROXY, unread } from './protocol.js';

export interface Listening {
  readonly url: string;
  /**
   * Stops accepting, lets what is in flight be answered, and resolves when all is closed. What is
   * not done in `DRAIN_MS_MAX` is cut off, so that no client can hold it up.
   */
  close(): Promise<void>;
}

/**
 * Serves an app over HTTP.
 *
 * @param limits replaces some of what one server takes on at once.
 * @throws where the address cannot be listened on.
 */
export async function listen(
  app: Pick<App, 'respond'>,
  { host, port }: { host: string; port: number },
  limits: Partial<Limits> = {},
): Promise<Listening> {
  const carrier = new Carrier(app, { ...LIMITS, ...limits });
  const server = serverOf(carrier);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { url: `http://${name}:${address.port}`, close: () => close(server, carrier) };
}

function serverOf(carrier: Carrier): Server {
  const { limits } = carrier;
  const server = createServer(
    {
      IncomingMessage: StoppableRequest,
      maxHeaderSize: HEAD_BYTES_MAX,
      requireHostHeader: false,
      headersTimeout: limits.headMs,
      requestTimeout: limits.requestMs,
      connectionsCheckingInterval: limits.lateCheckMs,
      keepAliveTimeout: limits.keepAliveMs,
    },
    (request, response) => carrier.take(request, response, false),
  );
  // Strings and lists of three thousand headers take twenty times the bytes of their head.
  server.maxHeadersCount = HEADERS_MAX;
  server.on('connection', (socket) => carrier.accept(socket));
  server.on('checkExpectation', (request, response) => carrier.take(request, response, true));
  server.on('connect', (_request, socket) => {
    carrier.connectionOf(socket as Socket)?.fail(NO_PROXY);
  });
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    const connection = carrier.connectionOf(socket as Socket);
    if (connection === undefined || !socket.writable) socket.destroy();
    else connection.fail(unread(error));
  });
  server.on('timeout', (socket) => carrier.connectionOf(socket)?.stalled());
  return server;
}

/**
 * One read can bring two thousand requests, and Node makes objects of all of them, although their
 * connection was cut at the first: it keeps them until every other connection has been read from.
 * What asks for another protocol is the one request after which it reads no further, so on a
 * connection that was cut every request is such a one. Others are not: this server has no other.
 */
class StoppableRequest extends IncomingMessage {
  get upgrade(): boolean {
    return this.socket.destroyed || this.method === 'CONNECT';
  }

  /** Node says here what a request asks for; this server speaks no other protocol. */
  set upgrade(_: boolean) {}
}

async function close(server: Server, carrier: Carrier): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  carrier.isDraining = true;
  // A head that is not whole by then is not waited for.
  const idle = setTimeout(() => carrier.dropIdle(), carrier.limits.lingerMs);
  const all = setTimeout(() => carrier.dropAll(), carrier.limits.drainMs);
  await closed;
  clearTimeout(idle);
  clearTimeout(all);
}
