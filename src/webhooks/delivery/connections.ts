import http from 'node:http';
import https from 'node:https';
import type { Target } from './address.js';

const OPTIONS = {
  keepAlive: true,
  // Receivers as a rule keep an idle connection for longer, so few are closed under a request.
  timeout: 1_000,
  // An agent that takes the newest first would take one that has been closed just now.
  scheduling: 'fifo',
  // No TLS session outlives its connection: the certificate is checked anew on each.
  maxCachedSessions: 0,
} as const;

/**
 * The connections to one endpoint, kept for a moment, for opening one costs more than all the
 * rest of an attempt. They are never shared between endpoints: what a receiver sends unasked can
 * be taken for an answer to nobody else's event. There are at most as many as attempts at once.
 */
export class Connections {
  readonly #http = new http.Agent(OPTIONS);
  readonly #https = new https.Agent(OPTIONS);

  /**
   * An agent for one request that is sent at once. Whatever idle connection it may take leads to
   * an address of this target; those that lead elsewhere are closed.
   */
  agentFor({ url, addresses }: Target): http.Agent {
    const checked = new Set(addresses.map(({ address }) => address));
    for (const { freeSockets } of [this.#http, this.#https]) {
      for (const socket of Object.values(freeSockets).flatMap((sockets) => sockets ?? [])) {
        if (!checked.has(socket.remoteAddress ?? '')) socket.destroy();
      }
    }
    return url.protocol === 'https:' ? this.#https : this.#http;
  }
}
