import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between a program and its database, and can fall silent: nothing passes, nothing ends. */
export async function silenceable(
  url: string,
): Promise<{ url: string; connected: () => boolean; silence(): void; close(): void }> {
  const { port, hostname } = new URL(url);
  const sockets = new Set<Socket>();
  let silent = false;
  const server = createServer((inner) => {
    const outer = connect(Number(port), hostname);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('data', (data) => {
        if (!silent) to.write(data);
      });
      from.on('close', () => {
        if (!silent) to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    url: url.replace(`:${port}/`, `:${own}/`),
    connected: () => sockets.size > 0,
    silence() {
      silent = true;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
