import type { Reporter, TestModule, Vitest } from 'vitest/node';

/** Ends every run with which engines took part, and one plain line that counts. */
export default class PlainEnd implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    // What failed outside a test is no less a failure.
    let failed = unhandled.length;
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed++;
        else if (state === 'failed') failed++;
      }
    }
    process.stdout.write(`${this.#engines()}\n${passed} passed, ${failed} failed\n`);
  }

  #engines(): string {
    const { pglite, postgres } = this.#vitest!.getRootProject().getProvidedContext();
    if (pglite === undefined) return 'engines: none';
    if (process.env.TEST_PGLITE === 'off') return `engines: PostgreSQL ${postgres?.version}`;
    return postgres === undefined
      ? `engines: PGlite ${pglite} (no PostgreSQL here: its half was skipped)`
      : `engines: PGlite ${pglite}, PostgreSQL ${postgres.version}`;
  }
}
