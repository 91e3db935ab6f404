import type { z } from 'zod';
import type { ErrorCode } from '../core/errors.js';

export type Scope = 'credits:read' | 'credits:write' | 'webhooks:read' | 'webhooks:write';

/** One row of the contract: the routes, `openapi.json` and the handlers' types come from it. */
export interface Operation<
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  readonly path: string;
  readonly summary: string;
  readonly scope: Scope;
  readonly query: Query;
  readonly body: Body;
  readonly answer: Answer;
  readonly status: 200 | 201;
  /** What it can refuse besides what every operation can; in order of precedence. */
  readonly errors: readonly ErrorCode[];
}

export function operation<
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(row: Operation<Query, Body, Answer>): Operation<Query, Body, Answer> {
  return row;
}
