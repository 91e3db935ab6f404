import { defineConfig } from 'vitest/config';
import { TEST_MS_MAX } from './test/harness/until.js';

/** What needs no database and no server: the rules of money and of webhooks, the forms that are for ever, the house. */
export default defineConfig({
  test: {
    include: [
      'test/core/**/*.test.ts',
      'test/ledger/store-queue.test.ts',
      'test/webhooks/{rules,address}.test.ts',
      'test/house.test.ts',
    ],
    reporters: ['default', './test/harness/reporter.ts'],
    pool: 'threads',
    testTimeout: TEST_MS_MAX,
  },
});
