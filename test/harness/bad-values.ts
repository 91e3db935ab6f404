/** Values that are wrong wherever they stand, shared by all tests that send them. */

/** Text that is no amount. */
export const BAD_AMOUNT_TEXTS = [
  '0',
  '-1',
  '1.5',
  '1e3',
  'NaN',
  'Infinity',
  '',
  ' 1',
  '1 ',
  '00',
  '01',
  '+1',
  '0x1',
  '1_000',
  '1,000',
  '1n',
  '١',
  '１',
  '1\n',
  '\n1',
  '9'.repeat(39),
  `1${'0'.repeat(38)}`,
];

/** What is no amount in JSON. */
export const BAD_AMOUNTS: readonly unknown[] = [
  ...BAD_AMOUNT_TEXTS,
  1,
  0,
  -1,
  1.5,
  1e300,
  true,
  null,
  {},
  [],
  ['1'],
  { amount: '1' },
];

/** What is no text for a reference, a key or a name. */
export const BAD_TEXTS: readonly unknown[] = [
  'a\0b',
  '\0',
  '\ud800',
  'x\udc00',
  '\ufeffx',
  '',
  'x'.repeat(256),
  'x'.repeat(100_000),
  1,
  true,
  null,
  {},
  [],
  ['x'],
  { length: 1 },
];
