import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import { type ErrorBody, errorEnvelope } from '../../src/contract/schema.js';
import type { Answer, Incoming } from '../../src/server/http/exchange.js';
import type { Limits } from '../../src/server/http/limits.js';
import { type Listening, listen } from '../../src/server/http/node.js';

/** Sockets that send what no client would, and an app that answers when it is told to. */

export interface Read {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** A socket that keeps what it was sent, and says when it was closed. */
export class Raw {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  text = '';

  constructor(url: string, { isReading = true } = {}) {
    this.socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1' });
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    if (!isReading) return;
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      this.text += text;
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** All answers so far, each with as much of its body as it announced. */
  get answers(): Read[] {
    const found: Read[] = [];
    let rest = this.text;
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return found;
      const head = rest.slice(0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      const body = rest.slice(end + 4, end + 4 + length);
      found.push({ status: Number(head.slice(9, 12)), head, body });
      rest = rest.slice(end + 4 + length);
    }
  }
}

/** Holds an answer that was read from a socket against the envelope. */
export function expectEnvelope(answer: Read | undefined, status: number, code: string): ErrorBody {
  expect(answer?.status, answer?.body).toBe(status);
  expect(answer!.head).toMatch(/content-type: application\/json/i);
  const body = errorEnvelope.parse(JSON.parse(answer!.body)) as ErrorBody;
  expect(body.error.code).toBe(code);
  expect(answer!.head).toContain(`x-request-id: ${body.error.request_id}`);
  return body;
}

export interface Asked {
  readonly incoming: Incoming;
  answer(body?: Answer['body']): void;
}

/** An app that keeps every request that was begun until the test answers it. */
export class SlowApp {
  readonly asked: Asked[] = [];

  respond = (incoming: Incoming): Promise<Answer> =>
    new Promise((resolve) => {
      const answer = (body: Answer['body'] = 'ok') => resolve({ status: 200, headers: {}, body });
      this.asked.push({ incoming, answer });
      if (incoming.path === '/now') answer();
    });

  listen(limits: Partial<Limits> = {}): Promise<Listening> {
    return listen(this, { host: '127.0.0.1', port: 0 }, limits);
  }
}

/** The status of a whole request on a connection of its own. */
export async function ask(url: string, path = '/now'): Promise<Read> {
  const raw = new Raw(url).send(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  await once(raw.socket, 'close');
  return raw.answers[0]!;
}
