/**
 * The closed table of everything the API can refuse, in order of precedence: where two rows
 * apply to one request, the earlier row is the answer (contract Q12). From it come the
 * TypeScript union, the HTTP answers, `docs/errors.md` and the list of tests.
 */
export const ERROR_TABLE = [
  row('headers_too_large', 431, 'invalid_request_error', 'The head of the request is too large'),
  row('expectation_failed', 417, 'invalid_request_error', 'The header Expect cannot be met'),
  row('not_found', 404, 'invalid_request_error', 'No such route'),
  row('method_not_allowed', 405, 'invalid_request_error', 'The route has no such method'),
  row('missing_api_key', 401, 'authentication_error', 'No API key was sent'),
  row('invalid_api_key', 401, 'authentication_error', 'The API key is unknown or revoked'),
  row('insufficient_scope', 403, 'authentication_error', 'The API key lacks the scope'),
  row('not_a_test_store', 403, 'invalid_request_error', 'Live stores run on real time'),
  row('request_timeout', 408, 'invalid_request_error', 'The request took too long to arrive'),
  row('payload_too_large', 413, 'invalid_request_error', 'The body is too large'),
  row('unsupported_media_type', 415, 'invalid_request_error', 'The body is not JSON'),
  row('invalid_json', 400, 'invalid_request_error', 'The body is not well-formed JSON'),
  row('validation_error', 400, 'invalid_request_error', 'A field is missing or malformed'),
  row('invalid_amount', 400, 'invalid_request_error', 'An amount is malformed'),
  row('invalid_webhook_url', 400, 'invalid_request_error', 'The webhook URL may not be called'),
  row('invalid_cursor', 400, 'invalid_request_error', 'A page cursor is unknown'),
  row('account_not_found', 404, 'invalid_request_error', 'No such account'),
  row('transaction_not_found', 404, 'invalid_request_error', 'No such transaction'),
  row('hold_not_found', 404, 'invalid_request_error', 'No such hold'),
  row('grant_not_found', 404, 'invalid_request_error', 'No such grant'),
  row('webhook_not_found', 404, 'invalid_request_error', 'No such webhook'),
  row('event_not_found', 404, 'invalid_request_error', 'No such event of this webhook'),
  row('idempotency_key_mismatch', 409, 'invalid_request_error', 'The key was used differently'),
  row('account_name_taken', 409, 'invalid_request_error', 'The customer has such an account'),
  row('transaction_not_reversible', 409, 'invalid_request_error', 'A reversal stays'),
  row('account_closed', 409, 'invalid_request_error', 'The account is closed'),
  row('account_frozen', 409, 'invalid_request_error', 'The account is frozen'),
  row('account_not_frozen', 409, 'invalid_request_error', 'The account is not frozen'),
  row('open_holds', 409, 'invalid_request_error', 'The account has open holds'),
  row('hold_not_open', 409, 'invalid_request_error', 'The hold has ended'),
  row('grant_not_open', 409, 'invalid_request_error', 'The grant has ended'),
  row('webhook_mode_mismatch', 400, 'invalid_request_error', 'Not for this delivery mode'),
  row('webhook_disabled', 409, 'invalid_request_error', 'The webhook is disabled'),
  row('webhook_limit_reached', 409, 'invalid_request_error', 'The store has too many webhooks'),
  row('unbalanced_transaction', 422, 'invalid_request_error', 'Debits differ from credits'),
  row('insufficient_balance', 422, 'invalid_request_error', 'The balance does not cover it'),
  row('balance_limit_exceeded', 422, 'invalid_request_error', 'The balance would be too large'),
  row('grant_limit_reached', 422, 'invalid_request_error', 'The account has too many grants'),
  row('hold_limit_reached', 422, 'invalid_request_error', 'The account has too many holds'),
  row('account_busy', 503, 'api_error', 'The account is locked by another transaction'),
  row('secret_unreadable', 503, 'api_error', 'The signing secret cannot be decrypted'),
  row('overloaded', 503, 'api_error', 'The server has too much queued'),
  row('unavailable', 503, 'api_error', 'The database cannot be reached'),
  row('internal_error', 500, 'api_error', 'The server failed'),
] as const;

/** The four types that the contract's closed enum admits (contract section 1.5). */
export type ErrorType =
  | 'invalid_request_error'
  | 'api_error'
  | 'authentication_error'
  | 'rate_limit_error';

export type ErrorCode = (typeof ERROR_TABLE)[number]['code'];

export interface ErrorRow<Code extends string = string> {
  readonly code: Code;
  readonly status:
    | 400
    | 401
    | 403
    | 404
    | 405
    | 408
    | 409
    | 413
    | 415
    | 417
    | 422
    | 431
    | 500
    | 503;
  readonly type: ErrorType;
  readonly title: string;
}

function row<const Code extends string>(
  code: Code,
  status: ErrorRow['status'],
  type: ErrorType,
  title: string,
): ErrorRow<Code> {
  return { code, status, type, title };
}

const BY_CODE = new Map<ErrorCode, ErrorRow<ErrorCode>>(
  ERROR_TABLE.map((entry) => [entry.code, entry]),
);

export function errorRow(code: ErrorCode): ErrorRow<ErrorCode> {
  return BY_CODE.get(code)!;
}

/**
 * A refusal is a value, never an exception, on the write path: raising would abort the caller's
 * own database transaction and sink a neighbour in the same batch.
 */
export interface Refusal {
  readonly code: ErrorCode;
  /** Written for the caller: what happened and what to do next. */
  readonly message: string;
  /** What of the request is to blame; what its field is called is for who read the request. */
  readonly blamed?: Blamed;
}

/** A part of what the ledger was asked for; of a posted line with the place of that. */
export type Blamed = BlamedWhole | { readonly of: 'account' | 'amount'; readonly posting: number };

type BlamedWhole =
  | 'account'
  | 'advance'
  | 'after'
  | 'amount'
  | 'before'
  | 'expiry'
  | 'grant'
  | 'hold'
  | 'key'
  | 'name'
  | 'original'
  | 'postings'
  | 'start'
  | 'url';

/** Carries a refusal out of code that has no outcome to return it in, such as a read. */
export class RefusalError extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal.message);
    this.name = 'RefusalError';
  }
}

export function refuse(code: ErrorCode, message: string): Omit<Refusal, 'blamed'>;
export function refuse(code: ErrorCode, message: string, blamed: Blamed | undefined): Refusal;
export function refuse(code: ErrorCode, message: string, blamed?: Blamed): Refusal {
  return blamed === undefined ? { code, message } : { code, message, blamed };
}

/** What a caller can name by an id. */
export type Findable = 'account' | 'transaction' | 'hold' | 'grant' | 'webhook';

/** Refuses an id of nothing, be it unknown, of another store or no id at all (contract Q8). */
export function notFound(kind: Findable, blamed?: Blamed, where = 'in this store'): Refusal {
  const message = `There is no such ${kind} ${where}. Check the ${kind}'s id.`;
  return refuse(`${kind}_not_found`, message, blamed);
}
