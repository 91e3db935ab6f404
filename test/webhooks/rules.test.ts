import { describe, expect, test } from 'vitest';
import { deriveEvents, type Happening } from '../../src/core/events/derive.js';
import { CREEM_EVENTS, OWN_EVENTS } from '../../src/core/events/names.js';
import { type Account, remarksOf, type Store, type Transaction } from '../../src/core/model.js';
import { newEventId, newId } from '../../src/store/ids.js';
import type { DueEvent } from '../../src/store/webhooks/outbox.js';
import { attemptedOf } from '../../src/webhooks/delivery/attempted.js';
import { CourierQueue } from '../../src/webhooks/delivery/courier-queue.js';
import { BUSY_COMMANDS_PER_S, Pace } from '../../src/webhooks/delivery/pace.js';
import { readDeliverySettings } from '../../src/webhooks/delivery-settings.js';

const store: Store = {
  id: newId(),
  name: 's',
  mode: 'test',
  issuanceId: newId(),
  redemptionId: newId(),
  breakageId: newId(),
};

function account(balance: bigint, version: number): Account {
  return {
    id: newId(),
    customerId: 'cust_1',
    name: 'ai',
    unitLabel: 'credits',
    status: 'active',
    balance,
    version,
    createdAt: 1,
    updatedAt: 1,
    postedAt: 1,
    held: 0n,
    freeInGrants: 0n,
    openGrants: 0,
    openHolds: 0,
    hasGrants: false,
    metadata: null,
  };
}

/** Lines as [account, amount, seq, balance after]. */
function posted(
  operation: Transaction['operation'],
  lines: [Account, bigint, number, bigint][],
): Happening {
  const transaction: Transaction = {
    id: newId(),
    operation,
    ...remarksOf({ reference: 'ref' }),
    key: 'key',
    fingerprint: newId(),
    reversalOf: operation === 'reverse' ? newId() : null,
    createdAt: 1_789_430_400_456,
    drawdowns: [],
    holdId: null,
    entries: lines.map(([{ id }, amount, seq, balanceAfter], line) => ({
      line,
      accountId: id,
      amount,
      seq,
      balanceAfter,
    })),
  };
  const standings = [...new Set(lines.map(([a]) => a))].map((a) => ({ account: a, pending: 0n }));
  return { kind: 'posted', transaction, standings };
}

describe('derived events', () => {
  const a = account(7n, 3);
  const b = account(9n, 5);
  const derive = (happenings: Happening[], events: string[] = []) =>
    deriveEvents(store, happenings, [{ endpointId: 'e1', events }], newEventId);

  test('tell the net of each account and the balance after its newest line', () => {
    const told = derive([
      posted('post', [
        [a, -5n, 3, 7n],
        [a, 2n, 2, 12n],
        [b, 3n, 5, 9n],
      ]),
    ]);
    expect(told.map(({ type, body }) => [type, JSON.parse(body).object])).toMatchObject([
      ['credits.consumed', { amount_minor_units: '3', balance_after_minor_units: '7' }],
      ['credits.granted', { amount_minor_units: '3', balance_after_minor_units: '9' }],
    ]);
  });

  test('tell what a movement says of itself, where it does', () => {
    const plain = posted('debit', [[a, -1n, 3, 7n]]) as Extract<Happening, { kind: 'posted' }>;
    const described = { ...plain, transaction: { ...plain.transaction, description: 'Ticket 7' } };
    const [silent, told] = derive([plain, described]).map(({ body }) => JSON.parse(body).object);
    expect(silent).not.toHaveProperty('description');
    expect(told).toHaveProperty('description', 'Ticket 7');
  });

  test('tell nothing of an account whose net is zero', () => {
    const lines: [Account, bigint, number, bigint][] = [
      [a, -5n, 3, 7n],
      [a, 5n, 2, 12n],
    ];
    expect(derive([posted('post', lines)])).toEqual([]);
  });

  test('of a reversal are told only by its own name', () => {
    const reversal = posted('reverse', [[a, 5n, 3, 7n]]);
    expect(derive([reversal])).toEqual([]);
    expect(derive([reversal], ['credits.granted', 'credits.consumed'])).toEqual([]);
    const [told] = derive([reversal], ['credits.reversed']);
    expect(JSON.parse(told!.body).object).toMatchObject({ side: 'credit', reference: 'ref' });
  });

  test('of our own go to nobody who did not name them', () => {
    const standing = { account: { ...a, status: 'frozen' } as const, pending: 0n };
    const frozen: Happening = { kind: 'restated', standing };
    expect(derive([frozen])).toEqual([]);
    expect(derive([frozen], [...CREEM_EVENTS])).toEqual([]);
    expect(derive([frozen], [...OWN_EVENTS])[0]?.type).toBe('account.frozen');
  });

  test('have one id for all endpoints, and ids that count upwards', () => {
    const decisions = Array.from({ length: 50 }, () => posted('credit', [[a, 1n, 3, 7n]]));
    const subscriptions = ['e1', 'e2'].map((endpointId) => ({ endpointId, events: [] }));
    const told = deriveEvents(store, decisions, subscriptions, newEventId);
    expect(told).toHaveLength(100);
    const ids = told.filter(({ endpointId }) => endpointId === 'e1').map(({ eventId }) => eventId);
    expect(ids).toEqual([...ids].sort());
    expect(new Set(told.map(({ eventId }) => eventId)).size).toBe(50);
  });
});

describe('the schedule', () => {
  const schedule = [0, 30_000, 300_000];
  const answered = (status: number | null, retryAfter: number | null = null) => ({
    attempt: { at: '', latency_ms: 1, response_status: status, error: null },
    retryAfter,
  });
  const event = (tries: number) => ({ eventId: 'e', tries });

  test.each([
    [200, 0, 'delivered', null],
    [204, 2, 'delivered', null],
    [299, 0, 'delivered', null],
    [199, 0, 'retrying', 30_000],
    [301, 0, 'retrying', 30_000],
    [500, 0, 'retrying', 30_000],
    [500, 1, 'retrying', 300_000],
    [500, 2, 'failed', null],
    [null, 0, 'retrying', 30_000],
    [null, 2, 'failed', null],
    [410, 0, 'failed', null],
  ])('%s after %s tries: %s', (status, tries, expected, delay) => {
    const result = attemptedOf(event(tries), answered(status), schedule, 0.5);
    expect(result).toMatchObject({ status: expected, delay, tries: tries + 1 });
  });

  test('jitters by a tenth and honours Retry-After where it is longer', () => {
    expect(attemptedOf(event(0), answered(500), schedule, 0).delay).toBe(27_000);
    expect(attemptedOf(event(0), answered(500), schedule, 1).delay).toBe(33_000);
    expect(attemptedOf(event(0), answered(503, 90_000), schedule, 0.5).delay).toBe(90_000);
    expect(attemptedOf(event(0), answered(503, 10), schedule, 0.5).delay).toBe(30_000);
  });

  test.each([
    [{ TALLYSTICK_WEBHOOK_RETRY: '0s,1x' }, 'TALLYSTICK_WEBHOOK_RETRY'],
    [{ TALLYSTICK_WEBHOOK_RETRY: '0s,' }, 'TALLYSTICK_WEBHOOK_RETRY'],
    [{ TALLYSTICK_WEBHOOK_RETRY: `${'1s,'.repeat(16)}1s` }, 'TALLYSTICK_WEBHOOK_RETRY'],
    [{ TALLYSTICK_WEBHOOK_TIMEOUT: '0s' }, 'TALLYSTICK_WEBHOOK_TIMEOUT'],
    [{ TALLYSTICK_WEBHOOK_TIMEOUT: '2h' }, 'TALLYSTICK_WEBHOOK_TIMEOUT'],
    [{ TALLYSTICK_WEBHOOK_CONCURRENCY: '0' }, 'TALLYSTICK_WEBHOOK_CONCURRENCY'],
    [{ TALLYSTICK_WEBHOOK_RETENTION: 'x' }, 'TALLYSTICK_WEBHOOK_RETENTION'],
    [{ TALLYSTICK_WEBHOOK_ALLOW: 'http://x' }, 'TALLYSTICK_WEBHOOK_ALLOW'],
  ])('%o is refused by name', (env, name) => {
    expect(() => readDeliverySettings(env)).toThrow(name);
  });

  test('is Creem’s where nothing is set', () => {
    const { schedule, timeout, retention } = readDeliverySettings({});
    expect(schedule).toEqual([0, 30_000, 300_000, 1_800_000, 21_600_000]);
    expect([timeout, retention]).toEqual([15_000, 30 * 86_400_000]);
  });
});

describe('the queue of an endpoint', () => {
  const due = (eventId: string, accountId: string, seq: number, tries = 0): DueEvent => ({
    eventId,
    accountId,
    seq,
    tries,
    type: 't',
    body: '',
  });

  test('holds an account’s next event until the attempt at the one before has ended', () => {
    const queue = new CourierQueue();
    queue.add([due('1', 'a', 1), due('2', 'a', 2), due('3', 'b', 1)]);
    const first = queue.take()!;
    expect(first.eventId).toBe('1');
    expect(queue.take()!.eventId).toBe('3');
    expect(queue.take()).toBeUndefined();
    queue.attempted(first);
    expect(queue.take()!.eventId).toBe('2');
  });

  test('puts events of one millisecond in the account’s order, but never moves a busy one', () => {
    const queue = new CourierQueue();
    queue.add([due('x', 'a', 3), due('y', 'a', 2), due('z', 'a', 1)]);
    const first = queue.take()!;
    expect(first.eventId).toBe('z');
    queue.add([due('w', 'a', 0)]);
    queue.attempted(first);
    expect(queue.take()!.eventId).toBe('w');
  });

  test('takes nothing twice until it is settled, and lets retries wait for nobody', () => {
    const queue = new CourierQueue();
    expect(queue.add([due('1', 'a', 1)])).toBe(1);
    queue.take();
    expect(queue.add([due('1', 'a', 1), due('0', 'a', 0, 1)])).toBe(1);
    expect(queue.take()!.eventId).toBe('0');
    queue.settled('1');
    expect(queue.known).toBe(1);
  });
});

test('deliveries give way only while the ledger is given much', () => {
  let commands = 0;
  let now = 0;
  const pace = new Pace(
    () => commands,
    () => now,
  );
  const second = (count: number) => {
    commands += count;
    now += 1_000;
    return pace.busy;
  };
  expect(second(200)).toBe(false);
  expect(second(BUSY_COMMANDS_PER_S + 1)).toBe(true);
  expect(second(0)).toBe(false);
});

test('event ids begin with the instant that they are of', () => {
  const at = 1_789_430_400_456;
  expect(newEventId(at).replaceAll('-', '').slice(0, 12)).toBe(at.toString(16).padStart(12, '0'));
});
