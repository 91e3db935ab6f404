import { RegExpRouter } from 'hono/router/reg-exp-router';
import type { Answer, Incoming } from './http/exchange.js';

export interface Route {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** With named parts, such as `/v1/things/:id`. */
  readonly path: string;
  answer(
    incoming: Incoming,
    params: Readonly<Record<string, string>>,
    requestId: string,
  ): Promise<Answer>;
}

export type Match =
  | { readonly route: Route; readonly params: Record<string, string> }
  /** The methods that the path has; empty where there is no such path. */
  | { readonly allowed: string[] };

const METHODS = ['GET', 'POST', 'PATCH', 'DELETE'];

/** Finds the route of a request. */
export class Router {
  readonly #router = new RegExpRouter<Route>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#router.add(route.method.toUpperCase(), route.path, route);
  }

  match(method: string, path: string): Match {
    // What a HEAD asks for is what GET would answer, and the carrier leaves out the body.
    const [found, groups] = this.#router.match(method === 'HEAD' ? 'GET' : method, path);
    const first = found[0];
    if (first === undefined) return { allowed: this.#allowed(path) };
    const [route, places] = first;
    const params: Record<string, string> = {};
    for (const [name, place] of Object.entries(places)) {
      const text = decode(typeof place === 'number' ? (groups?.[place] ?? '') : place);
      if (text === undefined) return { allowed: [] };
      params[name] = text;
    }
    return { route, params };
  }

  #allowed(path: string): string[] {
    return METHODS.filter((method) => this.#router.match(method, path)[0].length > 0);
  }
}

/** Undefined where the percent-encoding is broken: there can be no such path. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
