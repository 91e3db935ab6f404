import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from '../app.js';
import type { Arrival } from './arrival.js';
import { Connection } from './connection.js';
import type { Limits } from './limits.js';
import { NodeExchange } from './node-exchange.js';
import { BODY_GAVE_WAY } from './protocol.js';
import { Room } from './room.js';

/** All connections of one server, and what they share. */
export class Carrier {
  readonly limits: Limits;
  readonly respond: App['respond'];
  /** What answers hold that are not taken; who does not take them is cut off for others. */
  readonly answers: Room<NodeExchange>;
  /** What bodies hold that are not whole; who is slow to send is refused for others. */
  readonly bodies: Room<Arrival>;
  /** How many requests are held until it is their turn. */
  held = 0;
  isDraining = false;
  readonly #connections = new Map<Socket, Connection>();
  /** Connections for which there was no room, and which are there to be told so. */
  readonly #surplus = new Set<Connection>();
  #turns = 0;

  constructor({ respond }: Pick<App, 'respond'>, limits: Limits) {
    this.limits = limits;
    this.respond = respond;
    this.answers = new Room(limits.answerBytes, (exchange) => exchange.cut());
    this.bodies = new Room(limits.partialBodyBytes, (arrival) => arrival.refuse(BODY_GAVE_WAY));
  }

  /** A number that is larger each time. */
  turn(): number {
    this.#turns++;
    return this.#turns;
  }

  /** Takes a new connection; where there are too many, the one that is idle for longest goes. */
  accept(socket: Socket): void {
    const connection = new Connection(this, socket);
    this.#connections.set(socket, connection);
    socket.once('close', () => this.#forget(connection));
    if (this.#connections.size - this.#surplus.size <= this.limits.connections) return;
    const idle = this.#longestIdle(connection);
    if (idle !== undefined) {
      this.#drop(idle);
      return;
    }
    this.#surplus.add(connection);
    const [first] = this.#surplus;
    if (this.#surplus.size > this.limits.surplus) this.#drop(first!);
  }

  connectionOf(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  take(request: IncomingMessage, response: ServerResponse, isExpecting: boolean): void {
    const connection = this.#connections.get(request.socket);
    connection?.receive(new NodeExchange(connection, request, response, isExpecting));
  }

  /** Whether a connection is one of those that are served; there may be room by now. */
  hasRoomFor(connection: Connection): boolean {
    if (this.#surplus.size === 0 || !this.#surplus.has(connection)) return true;
    if (this.#connections.size - this.#surplus.size >= this.limits.connections) return false;
    return this.#surplus.delete(connection);
  }

  /** Closes connections on which no request is being answered, whatever they have begun to send. */
  dropIdle(): void {
    for (const connection of this.#connections.values()) {
      if (connection.isIdle) this.#drop(connection);
    }
  }

  dropAll(): void {
    for (const connection of this.#connections.values()) this.#drop(connection);
  }

  #longestIdle(except: Connection): Connection | undefined {
    let longest: Connection | undefined;
    for (const connection of this.#connections.values()) {
      if (connection === except || !connection.isIdle || this.#surplus.has(connection)) continue;
      if (longest === undefined || connection.idleSince < longest.idleSince) longest = connection;
    }
    return longest;
  }

  #drop(connection: Connection): void {
    connection.socket.destroy();
    this.#forget(connection);
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection.socket);
    this.#surplus.delete(connection);
  }
}
