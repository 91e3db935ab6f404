/**
 * What `core/funds/due.ts` says of what has ended, as conditions on rows, for what an index
 * narrows: what a statement reads of an account, which accounts a sweep visits, and the lists of
 * one status. `test/ledger/ended.test.ts` compares each with core.
 *
 * Each is given the text of an instant, which is in the past only from the next one on.
 */

/** Of the two ends that a grant can have the sooner, as the index by ends has it. */
export const GRANT_END = 'least(expires_at, voided_at)';

/** Grants that have ended and have something left, if only for a hold. */
export const endedGrant = (instant: string) => `open and ${GRANT_END} <= ${instant}`;

/** Grants that have ended and have something left that no hold keeps: that is to be booked. */
export const dueGrant = (instant: string) => `free and expires_at <= ${instant}`;

/** Holds that have ended, which is yet to be booked. */
export const endedHold = (instant: string) => `status = 'open' and expires_at <= ${instant}`;

/** As `holdAt` has it. */
export const holdStatus = (instant: string) =>
  `case when ${endedHold(instant)} then 'expired' else status end`;

/** As `grantStatus` has it. */
export const grantStatus = (instant: string) => `case when voided_at is not null then 'voided'
  when expires_at <= ${instant} then 'expired' when remaining = 0 then 'depleted'
  when effective_at > ${instant} then 'pending' else 'active' end`;
