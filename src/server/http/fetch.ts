import { Body } from './body.js';
import { type Answer, CUT_SHORT, type Incoming, letGo, type Read } from './exchange.js';

/**
 * Carries requests of the fetch standard, for use inside another application. How many connections
 * and requests there are, and how long they may take to arrive, is for that application to bound;
 * the sizes of bodies and the number of exports are bounded here as well.
 */
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
    if (request.method === 'HEAD') {
      if (typeof body !== 'string') await letGo(body);
      return new Response(null, { status, headers });
    }
    return new Response(typeof body === 'string' ? body : toStream(body), { status, headers });
  };
}

async function readText(request: Request): Promise<Read<string>> {
  const body = new Body();
  try {
    for await (const piece of request.body ?? []) if (!body.add(piece)) break;
  } catch {
    // A sender that went away is no failure of the server.
    return { refusal: CUT_SHORT };
  }
  return body.read();
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
