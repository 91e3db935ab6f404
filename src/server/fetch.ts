import { isUtf8 } from 'node:buffer';
import {
  type Answer,
  BODY_BYTES_MAX,
  type Incoming,
  NOT_UTF8,
  type Read,
  TOO_LARGE,
} from './exchange.js';

/** Carries requests of the fetch standard, for use inside another application. */
export function fetchHandler(respond: (incoming: Incoming) => Promise<Answer>) {
  return async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const { status, headers, body } = await respond({
      method: request.method,
      path: url.pathname,
      query: url.search.slice(1),
      header: (name) => request.headers.get(name) ?? undefined,
      text: () => readText(request),
    });
    if (request.method === 'HEAD') return new Response(null, { status, headers });
    return new Response(typeof body === 'string' ? body : toStream(body), { status, headers });
  };
}

async function readText(request: Request): Promise<Read<string>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) return { refusal: TOO_LARGE };
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  return isUtf8(bytes) ? { value: bytes.toString() } : { refusal: NOT_UTF8 };
}

function toStream(pieces: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}
