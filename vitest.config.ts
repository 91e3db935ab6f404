import { defineConfig } from 'vitest/config';
import { TEST_MS_MAX, WAIT_MS_MAX } from './test/harness/until.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/setup.ts'],
    setupFiles: ['test/harness/orphan.ts'],
    reporters: ['default', './test/harness/reporter.ts'],
    pool: 'forks',
    // PGlite and PostgreSQL share the cores with the tests, so that more workers are no faster.
    maxWorkers: 3,
    testTimeout: TEST_MS_MAX,
    hookTimeout: TEST_MS_MAX,
    expect: { poll: { timeout: WAIT_MS_MAX, interval: 20 } },
  },
});
