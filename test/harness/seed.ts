/** Which random values a run uses: TEST_SEED, or new ones; printed, so that it can be repeated. */
export function seedOf(what: string): number {
  const seed = Number(process.env.TEST_SEED) || Math.floor(Math.random() * 2 ** 31);
  process.stdout.write(`${what}: TEST_SEED=${seed}\n`);
  return seed;
}
