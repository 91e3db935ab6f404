import { expect, inject, test } from 'vitest';

test.runIf(process.env.TALLYSTICK_REQUIRE_POSTGRES === '1')(
  'PostgreSQL takes part where it is required',
  () => {
    expect(inject('postgres'), 'install PostgreSQL, or set TEST_DATABASE_URL').toBeDefined();
  },
);

test.runIf(process.env.TEST_PGLITE !== 'off')('PGlite takes part', () => {
  expect(inject('pglite')).toMatch(/^\d+\./);
});
