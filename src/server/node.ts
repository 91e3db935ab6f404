import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';

export interface Listening {
  readonly url: string;
  /** Stops accepting, lets what is in flight be answered, and resolves when all is closed. */
  close(): Promise<void>;
}

/** How long requests in flight may take to finish once the server stops. */
const DRAIN_MS_MAX = 10_000;
const IDLE_CHECK_MS = 20;

/** Serves an app over HTTP. @throws where the address cannot be listened on. */
export async function listen(
  app: Hono,
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  // A request's head and body must arrive in time, so that slow senders cannot hold sockets.
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  server.keepAliveTimeout = 65_000;
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
