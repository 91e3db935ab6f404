import * as wire from './funds-schema.js';
import { operation } from './operation.js';
import { listOf, noBody, noQuery, transaction } from './schema.js';

const CREDITS = '/v1/customer-credits';
const HOLD = `${CREDITS}/holds/:id`;
const CLOCK = '/v1/test/clock';

const read = { query: noQuery, body: noBody, method: 'get', scope: 'credits:read' } as const;
const write = { query: noQuery, body: noBody, method: 'post', scope: 'credits:write' } as const;

/** Holds, grants, bulk and the clock: additions that the official SDK never meets. */
export const FUNDS_OPERATIONS = {
  createHold: operation({
    ...write,
    path: `${CREDITS}/accounts/:id/holds`,
    summary: 'Set an amount aside until its cost is known',
    body: wire.holdBody,
    answer: wire.hold,
    status: 201,
    errors: [
      'invalid_amount',
      'account_not_found',
      'idempotency_key_mismatch',
      'account_closed',
      'account_frozen',
      'insufficient_balance',
      'hold_limit_reached',
    ],
  }),
  listHolds: operation({
    ...read,
    path: `${CREDITS}/accounts/:id/holds`,
    summary: "List an account's holds, newest first",
    query: wire.listHoldsQuery,
    answer: listOf(wire.hold),
    status: 200,
    errors: ['invalid_cursor', 'account_not_found'],
  }),
  getHold: operation({
    ...read,
    path: HOLD,
    summary: 'Get a hold',
    answer: wire.hold,
    status: 200,
    errors: ['hold_not_found'],
  }),
  captureHold: operation({
    ...write,
    path: `${HOLD}/capture`,
    summary: 'Debit what was held, or less, or more',
    body: wire.captureBody,
    answer: transaction,
    status: 201,
    errors: [
      'invalid_amount',
      'hold_not_found',
      'idempotency_key_mismatch',
      'account_closed',
      'account_frozen',
      'hold_not_open',
      'insufficient_balance',
    ],
  }),
  releaseHold: operation({
    ...write,
    path: `${HOLD}/release`,
    summary: 'Let go of what a hold keeps',
    answer: wire.hold,
    status: 200,
    errors: ['hold_not_found', 'hold_not_open'],
  }),
  extendHold: operation({
    ...write,
    path: `${HOLD}/extend`,
    summary: "Move a hold's expiry to so many seconds from now",
    body: wire.extendBody,
    answer: wire.hold,
    status: 200,
    errors: ['hold_not_found', 'hold_not_open'],
  }),
  listGrants: operation({
    ...read,
    path: `${CREDITS}/accounts/:id/grants`,
    summary: "List an account's grants, newest first",
    query: wire.listGrantsQuery,
    answer: listOf(wire.grant),
    status: 200,
    errors: ['invalid_cursor', 'account_not_found'],
  }),
  voidGrant: operation({
    ...write,
    path: `${CREDITS}/grants/:id/void`,
    summary: 'End a grant now; what is left of it goes to breakage',
    answer: wire.grant,
    status: 200,
    errors: ['grant_not_found', 'account_closed', 'grant_not_open'],
  }),
  batch: operation({
    ...write,
    path: `${CREDITS}/batch`,
    summary: 'Carry out up to a thousand operations in order; where atomic, all or none',
    body: wire.batchBody,
    answer: wire.batchAnswer,
    status: 200,
    errors: [
      'invalid_amount',
      'account_not_found',
      'transaction_not_found',
      'hold_not_found',
      'idempotency_key_mismatch',
      'transaction_not_reversible',
      'account_closed',
      'account_frozen',
      'hold_not_open',
      'unbalanced_transaction',
      'insufficient_balance',
      'balance_limit_exceeded',
      'grant_limit_reached',
      'hold_limit_reached',
    ],
  }),
  getClock: operation({
    ...read,
    path: CLOCK,
    summary: "Get the store's time",
    answer: wire.clock,
    status: 200,
    errors: [],
  }),
  moveClock: operation({
    ...write,
    path: CLOCK,
    summary: "Set or advance a test store's time, and carry out what falls due",
    body: wire.clockBody,
    answer: wire.clock,
    status: 200,
    errors: ['not_a_test_store'],
  }),
  resetClock: operation({
    ...write,
    method: 'delete',
    path: CLOCK,
    summary: 'Return a test store to real time',
    answer: wire.clock,
    status: 200,
    errors: ['not_a_test_store'],
  }),
} as const;
