import { describe, expect, test } from 'vitest';
import { canonicalForm, formerForm } from '../../src/core/command.js';
import type { Metadata } from '../../src/core/model.js';
import {
  captureCommand,
  creditCommand,
  debitCommand,
  holdCommand,
  openCommand,
  postCommand,
  reverseCommand,
} from '../../src/ledger/commands.js';
import { fingerprint } from '../../src/ledger/fingerprint.js';

/**
 * Canonical forms are for ever, for their hashes are stored. Not one of these lines may ever be
 * changed: a new form gets new lines, and the old ones go on being recognised.
 */

const A = '00000000-0000-7000-8000-000000000010';
const B = '00000000-0000-7000-8000-000000000011';
const H = '00000000-0000-7000-8000-000000000300';
const movement = { accountId: A, amount: 10n, reference: 'order_1', key: 'key_1' };
const terms = { expiresAt: 1_893_456_000_000 };
const postings = [
  { accountId: A, amount: -10n },
  { accountId: B, amount: 10n },
];
const posted = { postings, reference: 'order_1', key: 'key_1' };
const captured = { holdId: H, amount: undefined, overage: 'refuse', final: true } as const;
const debit = (metadata: Metadata) => debitCommand({ ...movement, metadata });

type Printed = ReturnType<
  typeof debitCommand | typeof postCommand | typeof holdCommand | typeof captureCommand
>;

const FORMS: readonly [name: string, Printed, form: string, print: string][] = [
  [
    'a credit',
    creditCommand(movement),
    `["credit","${A}","10","order_1"]`,
    '0201943c-d9f0-b263-4605-7d9eafc68a82',
  ],
  [
    'a debit',
    debitCommand(movement),
    `["debit","${A}","10","order_1"]`,
    'b38a42eb-bec8-4df3-8ce9-358ffd6a9abc',
  ],
  [
    'a reference with quotes, a line and an accent',
    creditCommand({ ...movement, reference: '","10 é\n' }),
    `["credit","${A}","10","\\",\\"10 é\\n"]`,
    'd55623cc-68d3-ca67-28ae-411fcffe10c4',
  ],
  [
    'a credit that expires',
    creditCommand({ ...movement, terms }),
    `["credit","${A}","10","order_1",{"priority":50,"category":"paid","expiresAt":1893456000000},null]`,
    'c5449ea8-36fd-e804-9e62-4a7a6beaf5f4',
  ],
  [
    'a credit with all other terms',
    creditCommand({
      ...movement,
      terms: { priority: 10, category: 'promotional', effectiveAt: 1_861_920_000_000 },
    }),
    `["credit","${A}","10","order_1",{"priority":10,"category":"promotional","effectiveAt":1861920000000,"expiresAt":null},null]`,
    '3713fc5a-cc59-f414-2d8e-eb6fae18c1de',
  ],
  [
    'a credit with terms and metadata',
    creditCommand({ ...movement, terms, metadata: { a: '1' } }),
    `["credit","${A}","10","order_1",{"priority":50,"category":"paid","expiresAt":1893456000000},{"a":"1"}]`,
    'c922e641-b1f1-90f7-407b-953513508548',
  ],
  [
    'metadata in order',
    debit({ a: '1', b: 'x"y' }),
    `["debit","${A}","10","order_1",null,{"a":"1","b":"x\\"y"}]`,
    'eec8ea31-1891-9238-eebb-334796b24d63',
  ],
  [
    'metadata of no names',
    debit({}),
    `["debit","${A}","10","order_1",null,{}]`,
    '3b63939d-698b-1353-62bc-7bf87b26943a',
  ],
  [
    'a debit with a description',
    debitCommand({ ...movement, description: 'Ticket 7' }),
    `["debit","${A}","10","order_1",null,"Ticket 7",null]`,
    '194826d2-3726-bfca-30e8-c30ee62566ab',
  ],
  [
    'a credit with all that it can have',
    creditCommand({ ...movement, terms, description: 'null', metadata: { a: '1' } }),
    `["credit","${A}","10","order_1",{"priority":50,"category":"paid","expiresAt":1893456000000},"null",{"a":"1"}]`,
    'e8e10ff2-4310-7537-613b-356239fc6c24',
  ],
  [
    'a post',
    postCommand(posted),
    `["post","order_1",[["${A}","-10"],["${B}","10"]],null]`,
    'f87c65f1-7b59-6eef-29da-0647493600cc',
  ],
  [
    'a post with metadata',
    postCommand({ ...posted, metadata: { a: '1' } }),
    `["post","order_1",[["${A}","-10"],["${B}","10"]],{"a":"1"}]`,
    '26523cea-9f1b-3c64-e535-2725e920b8ad',
  ],
  [
    'a hold',
    holdCommand({ ...movement, expiresInMs: 300_000 }),
    `["hold","${A}","10","order_1",300000]`,
    '4865a399-1eac-5c3d-3993-a2d4f7f97d0b',
  ],
  [
    'a capture of all',
    captureCommand({ ...captured, key: 'key_1' }),
    `["capture","${H}",null,"refuse",true,null]`,
    'd4af8cbd-dd45-4b5d-179c-372d0da0597a',
  ],
  [
    'a capture with all that it can have',
    captureCommand({
      ...captured,
      amount: 7n,
      overage: 'cap',
      final: false,
      metadata: { a: '1' },
      key: 'key_1',
    }),
    `["capture","${H}","7","cap",false,{"a":"1"}]`,
    'c90080c2-9f1c-d786-9c9f-7dd9801c9d0d',
  ],
];

test.each(FORMS)('the form of %s', (_, command, form, print) => {
  expect(canonicalForm(command)).toBe(form);
  expect(command.fingerprint).toBe(print);
  expect(fingerprint(form)).toBe(print);
  expect(formerForm(command)).toBeUndefined();
});

/** Metadata whose names were sent out of order: the form of today, and that of before. */
const REORDERED: readonly [
  name: string,
  sent: Metadata,
  form: string,
  print: string,
  former: string,
  formerPrint: string,
][] = [
  [
    'names the other way round',
    { b: 'x"y', a: '1' },
    `["debit","${A}","10","order_1",null,{"a":"1","b":"x\\"y"}]`,
    'eec8ea31-1891-9238-eebb-334796b24d63',
    `["debit","${A}","10","order_1",null,{"b":"x\\"y","a":"1"}]`,
    'df4008d0-8e7d-e7fc-4b26-9be5284457a1',
  ],
  [
    'names that are numbers, which JavaScript orders by size',
    { '10': 'ten', '2': 'two' },
    `["debit","${A}","10","order_1",null,{"10":"ten","2":"two"}]`,
    fingerprint(`["debit","${A}","10","order_1",null,{"10":"ten","2":"two"}]`),
    `["debit","${A}","10","order_1",null,{"2":"two","10":"ten"}]`,
    'b191aca7-c47b-843d-486c-dfd1f250b179',
  ],
  [
    'a capital, and a sign of two code units before one of a higher code unit',
    { '\uff5e': '4', '😀': '3', a: '2', Z: '1' },
    `["debit","${A}","10","order_1",null,{"Z":"1","a":"2","😀":"3","\uff5e":"4"}]`,
    fingerprint(`["debit","${A}","10","order_1",null,{"Z":"1","a":"2","😀":"3","\uff5e":"4"}]`),
    `["debit","${A}","10","order_1",null,{"\uff5e":"4","😀":"3","a":"2","Z":"1"}]`,
    fingerprint(`["debit","${A}","10","order_1",null,{"\uff5e":"4","😀":"3","a":"2","Z":"1"}]`),
  ],
];

test.each(REORDERED)('%s: one request, and the former form is known', (_, sent, ...golden) => {
  const [form, print, former, formerPrint] = golden;
  const command = debit(sent);
  expect(canonicalForm(command)).toBe(form);
  expect(command.fingerprint).toBe(print);
  expect(formerForm(command)).toBe(former);
  expect(command.formerFingerprint).toBe(formerPrint);
});

describe('in every command that has metadata', () => {
  const given = { b: '2', a: '1' };
  const sorted = { a: '1', b: '2' };
  const make: [string, (metadata: Metadata) => Printed & { formerFingerprint?: unknown }][] = [
    ['credit', (metadata) => creditCommand({ ...movement, metadata })],
    ['grant', (metadata) => creditCommand({ ...movement, terms, metadata })],
    ['debit', debit],
    ['post', (metadata) => postCommand({ ...posted, metadata })],
    ['capture', (metadata) => captureCommand({ ...captured, key: 'key_1', metadata })],
  ];
  test.each(make)('%s: the order of names does not matter', (_, of) => {
    expect(of(given).fingerprint).toBe(of(sorted).fingerprint);
    expect(of(sorted).formerFingerprint).toBeUndefined();
    expect(of(given).formerFingerprint).toBeDefined();
    expect(of({ ...sorted, b: '3' }).fingerprint).not.toBe(of(sorted).fingerprint);
  });
});

test('what no caller gives a key is known by the id that it is about', () => {
  expect(fingerprint(A)).toBe('13a5fd4c-6532-7d17-cb29-4a19e7f837c8');
  expect(reverseCommand(A).fingerprint).toBe('13a5fd4c-6532-7d17-cb29-4a19e7f837c8');
  const opening = { customerId: 'c', name: 'n', unitLabel: 'u', initialBalance: 1n };
  const opened = openCommand(opening);
  expect(opened.fingerprint).toBe(fingerprint(opened.accountId));
});
