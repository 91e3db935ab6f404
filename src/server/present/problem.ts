import type { ErrorBody } from '../../contract/schema.js';
import { errorRow } from '../../core/errors.js';
import type { Answer } from '../http/exchange.js';
import type { WireRefusal } from './wire-refusal.js';

/** How long a caller is asked to wait before it tries again, in seconds. */
const RETRY_AFTER_S = '1';

/** The answer to a refused request: the same envelope on every route (contract 1.5, Q1). */
export function problem(refusal: WireRefusal, requestId: string): Answer & { body: string } {
  const { status, type } = errorRow(refusal.code);
  const body: ErrorBody = {
    error: {
      type,
      code: refusal.code,
      message: refusal.message,
      param: refusal.param ?? null,
      request_id: requestId,
    },
    trace_id: requestId,
    status,
    message: [refusal.message],
    timestamp: Date.now(),
  };
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-request-id': requestId,
  };
  if (status === 503) headers['retry-after'] = RETRY_AFTER_S;
  return { status, body: JSON.stringify(body), headers };
}
