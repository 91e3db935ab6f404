import type { Socket } from 'node:net';
import { problem } from '../present/problem.js';
import type { WireRefusal } from '../present/wire-refusal.js';
import type { Carrier } from './carrier.js';
import type { NodeExchange } from './node-exchange.js';
import { asText } from './protocol.js';
import { requestIdOf } from './request-id.js';

/**
 * A connection and the requests on it. A few are worked on at a time; what was sent ahead of them
 * is held, and nothing more is read, until their answers are taken.
 */
export class Connection {
  readonly carrier: Carrier;
  readonly socket: Socket;
  /** Its place among all connections in the order in which they last had nothing to do. */
  idleSince: number;
  /** In the order in which they are answered: begun, and not taken by the caller yet. */
  readonly #open: NodeExchange[] = [];
  #held: NodeExchange[] = [];
  #latest: NodeExchange | undefined;
  #isScheduled = false;
  /** True while answers wait for their caller, who must take them before more is read. */
  #isUnread = false;
  #isPaused = false;
  #keepsPaused = false;
  #cutTimer: NodeJS.Timeout | undefined;
  #hasFailed = false;
  /** What is said, once all else is answered, of what came after it and was no request. */
  #last: WireRefusal | undefined;

  constructor(carrier: Carrier, socket: Socket) {
    this.carrier = carrier;
    this.socket = socket;
    this.idleSince = carrier.turn();
    socket.once('close', () => this.#closed());
    // Node gives up its own listener where it gives up a socket, and an error without one throws.
    socket.on('error', () => {});
  }

  /** True while no request is being answered; a head may be on its way. */
  get isIdle(): boolean {
    return this.#open.length === 0 && this.#held.length === 0;
  }

  /** Takes a request, to begin it now or in its turn. */
  receive(exchange: NodeExchange): void {
    this.#latest = exchange;
    if (this.#held.length === 0 && this.#open.length < this.carrier.limits.requestsPerConnection) {
      this.#begin(exchange);
      return;
    }
    if (this.carrier.held >= this.carrier.limits.requestsHeld) {
      this.socket.destroy();
      return;
    }
    this.carrier.held++;
    this.#held.push(exchange);
    this.#stopReading();
  }

  /** Whether the connection is to be closed after this answer. */
  endsWith(exchange: NodeExchange): boolean {
    if (exchange !== this.#latest) return false;
    // What is still to be said of what came after it goes out on the same connection.
    if (this.#last !== undefined) return false;
    return this.carrier.isDraining || this.#hasFailed || !this.carrier.hasRoomFor(this);
  }

  /** Takes note of an answer that its caller does not take at once. */
  sending(exchange: NodeExchange): void {
    if (exchange === this.#open[0]) this.#awaitCaller();
  }

  /** What Node says of a socket on which nothing moved for the time that was set for it. */
  stalled(): void {
    if (this.isIdle || this.socket.writableLength > 0) this.socket.destroy();
  }

  /** Takes note that what came last could not be read; nothing after it can be. */
  fail(refusal: WireRefusal): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    const latest = this.#latest;
    // Whoever is in the middle of a request is told by its own answer.
    if (latest !== undefined && !latest.request.complete) latest.refuse(refusal);
    else this.#last = refusal;
    if (this.isIdle) this.#end();
  }

  #begin(exchange: NodeExchange): void {
    this.#open.push(exchange);
    exchange.response.once('finish', () => this.#taken(exchange));
    void exchange.run();
  }

  /** The caller's side has all of an answer. */
  #taken(exchange: NodeExchange): void {
    this.#open.shift();
    // Kept until the next request it would outlive the collection of what is young.
    if (this.#latest === exchange && exchange.request.complete) this.#latest = undefined;
    this.carrier.answers.free(exchange);
    this.idleSince = this.carrier.turn();
    // What is left of a body that nobody wants is thrown away, but not for ever.
    if (!exchange.request.complete) this.#cutLater(() => exchange.request.complete);
    this.#isUnread = false;
    if (this.#open[0]?.isSending) this.#awaitCaller();
    if (this.#held.length > 0) this.#beginNextSoon();
    else this.#readOn();
    if (this.isIdle && (this.#hasFailed || this.carrier.isDraining)) this.#end();
  }

  /** Others come first: thousands of small requests would otherwise be answered in one go. */
  #beginNextSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const free = this.carrier.limits.requestsPerConnection - this.#open.length;
      const next = this.#held.splice(0, free);
      this.carrier.held -= next.length;
      for (const exchange of next) this.#begin(exchange);
      this.#readOn();
    });
  }

  /** Closes the connection where no byte of the answer whose turn it is is taken for a time. */
  #awaitCaller(): void {
    // What a caller sends would count as something that moves, so nothing of it is read.
    this.#isUnread = true;
    this.#stopReading();
    this.socket.setTimeout(this.carrier.limits.stallMs);
  }

  #stopReading(): void {
    this.#isPaused = true;
    this.socket.pause();
    if (this.#keepsPaused) return;
    this.#keepsPaused = true;
    // Node reads on whenever a body is wanted or an answer was taken.
    this.socket.on('resume', () => {
      if (this.#isPaused) this.socket.pause();
    });
  }

  #readOn(): void {
    if (!this.#isPaused || this.#isUnread || this.#held.length > 0) return;
    this.#isPaused = false;
    this.socket.resume();
  }

  #end(): void {
    const { socket } = this;
    if (this.#last === undefined || !socket.writable) {
      socket.destroySoon();
      return;
    }
    socket.end(asText(problem(this.#last, requestIdOf(undefined))));
    // To close while bytes are unread resets a connection, and what was said is lost with it. So
    // they are read and thrown away until the caller closes, for as long as that may take.
    socket.resume();
    this.#cutLater(() => false);
  }

  #cutLater(isDone: () => boolean): void {
    clearTimeout(this.#cutTimer);
    this.#cutTimer = setTimeout(() => {
      if (!isDone()) this.socket.destroy();
    }, this.carrier.limits.lingerMs);
  }

  #closed(): void {
    clearTimeout(this.#cutTimer);
    this.carrier.held -= this.#held.length;
    this.#held = [];
    for (const exchange of this.#open) exchange.abandon();
  }
}
