import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a database on which packets can vanish, while no connection is ever closed. */
export class SilentProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  /** Connections on which nothing arrives any more. */
  readonly #silenced = new Set<Socket>();
  /** Connections of which only what the database answers vanishes. */
  readonly #unanswered = new Set<Socket>();
  #all = false;
  #awaited: string | undefined;

  private constructor(server: Server, target: URL, port: number) {
    this.#server = server;
    this.#target = target;
    const url = new URL(target);
    url.port = String(port);
    this.url = url.toString();
  }

  static async start(url: string): Promise<SilentProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address() as { port: number };
    const proxy = new SilentProxy(server, new URL(url), address.port);
    server.on('connection', (socket) => proxy.#carry(socket));
    return proxy;
  }

  /** From now on nothing arrives on the connections that are open; where `all`, on none. */
  fallSilent({ all = false }: { all?: boolean } = {}): void {
    this.#all = all;
    for (const socket of this.#sockets) this.#silenced.add(socket);
  }

  /** The next statement of this text arrives, and from then on no answer on its connection does. */
  swallowAnswerTo(text: string): void {
    this.#awaited = `${text}\0`;
  }

  /** What is sent from now on arrives again; what vanished is gone. */
  heal(): void {
    this.#all = false;
    this.#silenced.clear();
    this.#unanswered.clear();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(socket: Socket): void {
    const database = connect(Number(this.#target.port), this.#target.hostname);
    this.#sockets.add(socket);
    const isSilent = () => this.#all || this.#silenced.has(socket);
    socket.on('data', (bytes) => {
      if (this.#awaited !== undefined && bytes.includes(this.#awaited)) {
        this.#awaited = undefined;
        this.#unanswered.add(socket);
      }
      if (!isSilent()) database.write(bytes);
    });
    database.on('data', (bytes) => {
      if (!isSilent() && !this.#unanswered.has(socket)) socket.write(bytes);
    });
    // Whether the other side has gone is heard of as little as anything else.
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (!isSilent()) database.destroy();
    });
    database.on('close', () => {
      if (!isSilent()) socket.destroy();
    });
    for (const each of [socket, database]) each.on('error', () => {});
  }
}
