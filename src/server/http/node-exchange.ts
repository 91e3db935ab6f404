import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { problem } from '../present/problem.js';
import type { WireRefusal } from '../present/wire-refusal.js';
import { Arrival } from './arrival.js';
import type { Connection } from './connection.js';
import { type Answer, CUT_SHORT, type Incoming, letGo, type Read } from './exchange.js';
import { FULL, unfit } from './protocol.js';
import { requestIdOf } from './request-id.js';

/** A request of a connection of Node's HTTP server, and its answer. */
export class NodeExchange implements Incoming {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #connection: Connection;
  readonly #isExpecting: boolean;
  #refusal: WireRefusal | undefined;
  #arrival: Arrival | undefined;
  #pieces: AsyncIterable<string> | undefined;
  /** True once its answer has begun, and its caller did not take all of it at once. */
  isSending = false;

  /** @param isExpecting says that it has an `Expect` that nobody knows. */
  constructor(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    isExpecting: boolean,
  ) {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.method = request.method ?? 'GET';
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? '' : url.slice(mark + 1);
    this.request = request;
    this.response = response;
    this.#connection = connection;
    this.#isExpecting = isExpecting;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  text(): Promise<Read<string>> {
    if (this.#refusal !== undefined) return Promise.resolve({ refusal: this.#refusal });
    this.#arrival = new Arrival(this.request, this.#connection.carrier.bodies);
    return this.#arrival.read;
  }

  /** Gives up what is still to come of the body: whoever waits for it gets the refusal. */
  refuse(refusal: WireRefusal): void {
    this.#refusal = refusal;
    this.#arrival?.refuse(refusal);
  }

  /** Ends the connection, and with it this exchange and all others on it. */
  cut(): void {
    this.#connection.socket.destroy();
  }

  /** To be called once its connection is closed. */
  abandon(): void {
    this.#connection.carrier.answers.free(this);
    this.#arrival?.refuse(CUT_SHORT);
    // A pipeline does not end where it leads to an answer whose turn has not come.
    if (this.#pieces !== undefined) void letGo(this.#pieces);
  }

  /** Asks for the answer and sends it; never rejects. */
  async run(): Promise<void> {
    const { carrier, socket } = this.#connection;
    const hasRoom = carrier.hasRoomFor(this.#connection);
    const refusal = hasRoom ? unfit(this.request, this.#isExpecting) : FULL;
    const answer =
      refusal === undefined
        ? await carrier.respond(this)
        : problem(refusal, requestIdOf(this.header('x-request-id')));
    const { body } = answer;
    if (socket.destroyed) {
      if (typeof body !== 'string') await letGo(body);
      return;
    }
    if (this.#connection.endsWith(this)) this.response.shouldKeepAlive = false;
    if (typeof body === 'string') this.#send(answer, body);
    else if (this.method === 'HEAD') await this.#sendHead(answer, body);
    else await this.#sendPieces(answer, body);
  }

  #send({ status, headers }: Answer, body: string): void {
    const { response } = this;
    const bytes = Buffer.byteLength(body);
    response.writeHead(status, { ...headers, 'content-length': bytes });
    if (this.method === 'HEAD') response.end();
    // Plain ASCII, which nearly every answer is, is written faster as what it is.
    else response.end(body, bytes === body.length ? 'latin1' : 'utf8');
    // Nearly every answer is with the kernel by now, and nothing more has to be known of it.
    if (response.writableLength === 0) return;
    this.isSending = true;
    this.#connection.sending(this);
    this.#connection.carrier.answers.take(this, bytes);
  }

  async #sendHead({ status, headers }: Answer, body: AsyncIterable<string>): Promise<void> {
    this.response.writeHead(status, headers);
    this.response.end();
    await letGo(body);
  }

  async #sendPieces({ status, headers }: Answer, body: AsyncIterable<string>): Promise<void> {
    this.#pieces = body;
    this.isSending = true;
    this.#connection.sending(this);
    this.response.writeHead(status, headers);
    // Where the caller goes away, or a page cannot be read, the rest is never sent.
    await pipeline(body, this.response).catch(() => this.cut());
    await letGo(body);
  }
}
