import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/setup.ts'],
    reporters: ['default', './test/harness/reporter.ts'],
    pool: 'forks',
    // PGlite and PostgreSQL share the cores with the tests, so that more workers are no faster.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
