import type { FUNDS_OPERATIONS } from '../../contract/funds-operations.js';
import { extendCommand, type Grant, releaseCommand, voidCommand } from '../../ledger/index.js';
import { presentGrant, presentHold } from '../present/funds.js';
import { presentList } from '../present/present.js';
import { batch } from './batch.js';
import { captureOf, holdOf } from './bodies.js';
import { getClock, moveClock, resetClock } from './clock.js';
import type { Handlers } from './handlers.js';
import { accountId, cursorOf, grantId, holdId, pageOf } from './ids.js';
import { grantReply, holdReply, transactionReply } from './replies.js';

export const FUNDS_HANDLERS: Pick<Handlers, keyof typeof FUNDS_OPERATIONS> = {
  createHold: async ({ ledger, store, params, body }) =>
    holdReply(await ledger.execute(store, holdOf(params.id, body))),

  listHolds: async ({ ledger, store, params, query }) => {
    const page = pageOf(query, cursorOf('hold'));
    const listed = await ledger.funds.holds(store, accountId(params.id), query.status, page);
    return { body: presentList(listed, presentHold) };
  },

  getHold: async ({ ledger, store, params }) => {
    return { body: presentHold(await ledger.funds.hold(store, holdId(params.id))) };
  },

  captureHold: async ({ ledger, store, params, body }) =>
    transactionReply(store, await ledger.execute(store, captureOf(params.id, body))),

  releaseHold: async ({ ledger, store, params }) =>
    holdReply(await ledger.execute(store, releaseCommand(holdId(params.id)))),

  extendHold: async ({ ledger, store, params, body }) => {
    const command = extendCommand(holdId(params.id), body.expires_in * 1000);
    return holdReply(await ledger.execute(store, command));
  },

  listGrants: async ({ ledger, store, params, query }) => {
    const page = pageOf(query, cursorOf('grant'));
    const listed = await ledger.funds.grants(store, accountId(params.id), query.status, page);
    const { now, voids } = listed;
    const present = (grant: Grant) => presentGrant(grant, now, voids.get(grant.id));
    return { body: presentList(listed, present) };
  },

  voidGrant: async ({ ledger, store, params }) =>
    grantReply(await ledger.execute(store, voidCommand(grantId(params.id)))),

  batch,
  getClock,
  moveClock,
  resetClock,
};
