import type { Grant, Hold } from '../../src/core/model.js';
import { ids } from './world.js';
import { grant, hold } from './world-funds.js';

/**
 * The order of use, each row a case that some product gets wrong or defines differently. The row
 * names the product and what it does; what is expected is what we do.
 */

export const NOW = 1_000;
const DAY = 86_400_000;

/** The nth grant, with its number as the last tie-break. */
const g = (number: number, fields: Partial<Grant> = {}) =>
  grant({ id: ids(200 + number), ...fields });

export interface Row {
  readonly title: string;
  readonly pool?: bigint;
  readonly grants: readonly Grant[];
  readonly holds?: readonly Hold[];
  readonly at?: number;
  /** What is taken, all that can be used where left out. */
  readonly take?: bigint;
  readonly expected: string;
}

const PRIORITY: Row[] = [
  {
    title: 'Stripe: the lower priority number is used first',
    grants: [g(1, { priority: 51 }), g(2, { priority: 49 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'OpenMeter counts from 1 with 10 in the middle: 0 is first and 100 is last',
    grants: [g(1, { priority: 100 }), g(2, { priority: 0 }), g(3)],
    expected: 'g2:10 g3:10 g1:10',
  },
  {
    title: 'Lago has 50 as the last priority: here 50 is the middle, and 51 comes after',
    pool: 4n,
    grants: [g(1, { priority: 51, createdAt: 1, effectiveAt: 1 })],
    expected: 'pool:4 g1:10',
  },
  {
    title: 'Orb looks at expiry first: priority outranks a sooner expiry',
    grants: [g(1, { priority: 50, expiresAt: 1_001 }), g(2, { priority: 10, expiresAt: 9_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Orb: priority outranks never expiring too',
    grants: [g(1, { priority: 50, expiresAt: 1_001 }), g(2, { priority: 10 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Metronome has the $0 cost basis second: priority outranks promotional',
    grants: [g(1, { priority: 50, category: 'promotional' }), g(2, { priority: 49 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Bursar refuses equal priorities: equal ones go on to the next difference',
    grants: [g(1, { expiresAt: 6_000 }), g(2, { expiresAt: 5_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Schematic lets an account choose last in, first out: the order is one for all',
    grants: [g(1, { createdAt: 100 }), g(2, { createdAt: 50 })],
    expected: 'g2:10 g1:10',
  },
];

const EXPIRY: Row[] = [
  {
    title: 'OpenMeter has expiry ascending and no word on never: never is last',
    grants: [g(1), g(2, { expiresAt: 5_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Lago looks at creation, not at expiry: the sooner expiry is first, though newer',
    grants: [g(1, { createdAt: 20, expiresAt: 9_000 }), g(2, { createdAt: 90, expiresAt: 8_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'OpenMeter rounds to minutes: one millisecond sooner is sooner',
    grants: [g(1, { expiresAt: 60_001 }), g(2, { expiresAt: 60_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Autumn goes by the reset interval: only the instant counts, however far',
    grants: [g(1, { expiresAt: 400 * DAY }), g(2, { expiresAt: 399 * DAY })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Stigg and we: expiry outranks promotional before paid',
    grants: [g(1, { category: 'promotional', expiresAt: 9_000 }), g(2, { expiresAt: 8_000 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Metronome has the $0 cost basis before the end: never-expiring promotional is later',
    grants: [g(1, { category: 'promotional' }), g(2, { expiresAt: 8_000 })],
    expected: 'g2:10 g1:10',
  },
];

const CATEGORY: Row[] = [
  {
    title: 'OpenMeter knows no category: promotional before paid',
    grants: [g(1, { category: 'paid' }), g(2, { category: 'promotional' })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Autumn uses prepaid first: paid comes after, though effective and created first',
    grants: [
      g(1, { category: 'paid', effectiveAt: 1, createdAt: 1 }),
      g(2, { category: 'promotional', effectiveAt: 900, createdAt: 900 }),
    ],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Lago has granted before purchased inside a wallet only: here across everything',
    pool: 7n,
    grants: [g(1, { category: 'promotional', createdAt: 900, effectiveAt: 900 })],
    expected: 'g1:10 pool:7',
  },
  {
    title: 'Orb has the lower cost basis first: promotional is one step, not a price',
    grants: [
      g(1, { category: 'promotional', effectiveAt: 30 }),
      g(2, { category: 'promotional', effectiveAt: 20 }),
      g(3, { category: 'paid', effectiveAt: 1 }),
    ],
    expected: 'g2:10 g1:10 g3:10',
  },
];

const TIES: Row[] = [
  {
    title: 'OpenMeter goes on to creation: effective first comes before created first',
    grants: [g(1, { effectiveAt: 90, createdAt: 10 }), g(2, { effectiveAt: 80, createdAt: 70 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Stripe does not say: created first where all else is equal',
    grants: [g(1, { createdAt: 71 }), g(2, { createdAt: 70 })],
    expected: 'g2:10 g1:10',
  },
  {
    title: 'Lago ends with creation and leaves ties open: the id makes the order total',
    grants: [g(2), g(1), g(3)],
    expected: 'g1:10 g2:10 g3:10',
  },
  {
    title: 'Flexprice takes the largest amount first: the amount never counts',
    grants: [g(1, { amount: 1n, createdAt: 20 }), g(2, { amount: 1_000n, createdAt: 21 })],
    expected: 'g1:1 g2:1000',
  },
  {
    title: 'Flexprice takes the largest amount first: nor does what is left',
    grants: [g(1, { amount: 9n, remaining: 1n }), g(2, { amount: 9n, remaining: 8n })],
    take: 3n,
    expected: 'g1:1 g2:2',
  },
  {
    title: 'Metronome has the fewest applicable products: a started grant has no lead',
    grants: [g(1, { amount: 10n }), g(2, { amount: 10n, remaining: 2n })],
    expected: 'g1:10 g2:2',
  },
];

const POOL: Row[] = [
  {
    title: 'Unkey has a refill that replaces: the pool is apart, and after what expires',
    pool: 5n,
    grants: [g(1, { expiresAt: 5_000 })],
    take: 12n,
    expected: 'g1:10 pool:2',
  },
  {
    title: 'Flexprice has no priority last: the pool has 50, before a 60 that expires',
    pool: 5n,
    grants: [g(1, { priority: 60, expiresAt: 1_001 })],
    take: 7n,
    expected: 'pool:5 g1:2',
  },
  {
    title: 'Flexprice has no priority last: the pool takes its place in the middle',
    pool: 5n,
    grants: [g(1, { priority: 40 }), g(2, { expiresAt: 5_000 }), g(3, { priority: 60 })],
    expected: 'g1:10 g2:10 pool:5 g3:10',
  },
  {
    title: 'Lago ends with creation: the pool is as old as its account, before equal grants',
    pool: 5n,
    grants: [g(1, { effectiveAt: 20, createdAt: 20 })],
    expected: 'pool:5 g1:10',
  },
  {
    title: 'Stigg has effective_at before created_at: so has the pool, from its account on',
    pool: 5n,
    grants: [g(1, { effectiveAt: 9, createdAt: 20 })],
    expected: 'g1:10 pool:5',
  },
  {
    title: 'Bursar ranks its plan allowance with the buckets: an empty pool has no part',
    grants: [g(1)],
    expected: 'g1:10',
  },
  {
    title: 'Lago doubled grants by two amount fields: what is in a grant is not in the pool',
    pool: 0n,
    grants: [g(1, { expiresAt: 5_000 })],
    take: 11n,
    expected: 'g1:10',
  },
];

const TIME: Row[] = [
  {
    title: 'OpenMeter rounds to minutes: effective at its very instant',
    grants: [g(1, { effectiveAt: NOW })],
    expected: 'g1:10',
  },
  {
    title: 'Talon.One has pending points: not effective one millisecond before',
    pool: 1n,
    grants: [g(1, { effectiveAt: NOW + 1, priority: 0 })],
    expected: 'pool:1',
  },
  {
    title: 'sub2api cut instants to midnight: expired at its very instant',
    pool: 1n,
    grants: [g(1, { expiresAt: NOW, priority: 0 })],
    expected: 'pool:1',
  },
  {
    title: 'OpenMeter rounds to minutes: usable until one millisecond before it expires',
    grants: [g(1, { expiresAt: NOW + 1 })],
    expected: 'g1:10',
  },
  {
    title: 'Metronome has the earliest ending first: what has ended is no part, swept or not',
    grants: [g(1, { expiresAt: 500, priority: 0 }), g(2)],
    expected: 'g2:10',
  },
  {
    title: 'Stigg tells of voided grants: a voided one is no part from its instant on',
    grants: [g(1, { voidedAt: NOW, priority: 0 }), g(2)],
    expected: 'g2:10',
  },
  {
    title: 'Stigg tells of depleted grants: an empty one is no part',
    grants: [g(1, { amount: 10n, remaining: 0n, priority: 0 }), g(2)],
    expected: 'g2:10',
  },
  {
    title: 'Talon.One splits pending from active: what is to come is not in the pool',
    pool: 0n,
    grants: [g(1, { effectiveAt: 5_000, expiresAt: 9_000 })],
    expected: '',
  },
];

const heldBy = (...pins: [grant: number | null, amount: bigint][]) => {
  const amount = pins.reduce((sum, [, size]) => sum + size, 0n);
  return hold({
    amount,
    pins: pins.map(([number, size]) => ({
      grantId: number === null ? null : ids(200 + number),
      amount: size,
    })),
  });
};

const PINNED: Row[] = [
  {
    title: 'Autumn locks a balance: what a hold keeps of a grant is not used by others',
    grants: [g(1, { priority: 0 }), g(2)],
    holds: [heldBy([1, 8n])],
    take: 5n,
    expected: 'g1:2 g2:3',
  },
  {
    title: 'Schematic leases a tranche: what is wholly held has no part',
    pool: 3n,
    grants: [g(1, { priority: 0 })],
    holds: [heldBy([1, 10n])],
    expected: 'pool:3',
  },
  {
    title: 'Bursar reserves of one bucket: a hold keeps of the pool too',
    pool: 9n,
    grants: [g(1, { expiresAt: 5_000 })],
    holds: [heldBy([1, 10n], [null, 4n])],
    expected: 'pool:5',
  },
  {
    title: 'Schematic refunds at expiry: a hold that has ended keeps nothing',
    pool: 9n,
    grants: [],
    holds: [{ ...heldBy([null, 4n]), status: 'expired', remaining: 0n }],
    expected: 'pool:9',
  },
  {
    title: 'Autumn has a reaper and lazy reads: a hold keeps nothing from its very instant on',
    pool: 9n,
    grants: [],
    holds: [{ ...heldBy([null, 4n]), expiresAt: NOW }],
    expected: 'pool:9',
  },
];

export const TABLES: Record<string, readonly Row[]> = {
  PRIORITY,
  EXPIRY,
  CATEGORY,
  TIES,
  POOL,
  TIME,
  PINNED,
};
