import { expect, test } from 'vitest';
import type { DueEvent } from '../../src/store/webhooks/outbox.js';
import { CourierQueue } from '../../src/webhooks/delivery/courier-queue.js';

/** In which order one endpoint is sent what it is to be sent. */

const event = (accountId: string, seq: number, tries = 0) =>
  ({ eventId: `${accountId}${seq}`, accountId, seq, tries }) as DueEvent;

/** Takes what may be attempted now. */
function takeAll(queue: CourierQueue): DueEvent[] {
  const taken: DueEvent[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next);
  return taken;
}

const idsOf = (events: readonly DueEvent[]) => events.map(({ eventId }) => eventId);

test('of one account one at a time, by seq, in whatever order they were found', () => {
  const queue = new CourierQueue();
  expect(queue.add([event('a', 2), event('a', 1), event('b', 7)])).toBe(3);
  const order: string[] = [];
  for (let taken = takeAll(queue); taken.length > 0; taken = takeAll(queue)) {
    order.push(idsOf(taken).join());
    // What is being attempted keeps its place, even where an earlier one comes after it.
    if (order.length === 1) queue.add([event('a', 4), event('a', 3), event('a', 0)]);
    for (const one of taken) queue.attempted(one);
  }
  expect(order).toEqual(['a1,b7', 'a0', 'a2', 'a3', 'a4']);
});

test('a later attempt waits for nobody, and nobody for it', () => {
  const queue = new CourierQueue();
  queue.add([event('a', 1, 1), event('a', 2, 3), event('a', 3), event('a', 4)]);
  expect(idsOf(takeAll(queue))).toEqual(['a1', 'a2', 'a3']);
});

test('an event is known until it is settled, and is not added twice', () => {
  const queue = new CourierQueue();
  const one = event('a', 1);
  expect([queue.add([one]), queue.add([one])]).toEqual([1, 0]);
  queue.attempted(queue.take()!);
  expect([queue.add([one]), queue.known, queue.waiting]).toEqual([0, 1, 0]);
  queue.settled(one.eventId);
  expect([queue.add([one]), queue.waiting]).toEqual([1, 1]);
});
