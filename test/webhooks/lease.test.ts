import { expect, test } from 'vitest';
import { newId } from '../../src/store/ids.js';
import { Lease } from '../../src/webhooks/delivery/lease.js';
import { ownClock } from '../harness/own-clock.js';

/** For how long a server may deliver to an endpoint; the time is the test's own. */

const TIMEOUT_MS = 10_000;
/** Two attempts and what is between them. */
const LEASE_MS = 22_000;
const clock = ownClock();

/** Takes a lease from a database that answers after some milliseconds. */
async function taken(answersAfter = 0) {
  const asked: unknown[] = [];
  const database = { isHeldByAnother: false };
  const db = {
    async query(_: string, values?: unknown[]) {
      asked.push(values?.[3]);
      clock.now += answersAfter;
      return { rows: database.isHeldByAnother ? [] : [{ events: '' }] };
    },
  };
  const parts = { db, owner: newId(), timeout: TIMEOUT_MS };
  const { lease } = (await Lease.take(parts, { storeId: newId(), id: newId() }))!;
  return { lease, asked, database };
}

test('it is counted from before it was asked for', async () => {
  const { lease, asked } = await taken(5_000);
  expect(asked).toEqual([LEASE_MS]);
  clock.now = 1_000 + LEASE_MS;
  expect(lease.isOver).toBe(false);
  clock.now += 1;
  expect(lease.isOver).toBe(true);
});

test('an attempt begins only where it ends within it, and there is time to settle it', async () => {
  const { lease } = await taken();
  clock.now = 1_000 + LEASE_MS - TIMEOUT_MS - 1_000;
  expect(lease.outlastsAttempt).toBe(true);
  clock.now += 1;
  expect(lease.outlastsAttempt).toBe(false);
});

test('where it is renewed it begins anew; where it is lost it ends as it would have', async () => {
  const { lease, database } = await taken(1_000);
  clock.now = 10_000;
  expect(await lease.renew()).toBeDefined();
  database.isHeldByAnother = true;
  expect(await lease.renew()).toBeUndefined();
  clock.now = 10_000 + LEASE_MS;
  expect(lease.isOver).toBe(false);
  clock.now += 1;
  expect(lease.isOver).toBe(true);
});
