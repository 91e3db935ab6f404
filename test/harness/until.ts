/**
 * How long tests wait, in one place. They wait for what happens and not for a time, so that only
 * what is broken comes near these bounds, and a busy machine is slow without being wrong.
 * `TEST_PATIENCE=0.1` makes them a tenth, for whoever looks for what is broken.
 */
const PATIENCE = Number(process.env.TEST_PATIENCE) || 1;

/** How long a test waits for something to happen, in milliseconds. */
export const WAIT_MS_MAX = 120_000 * PATIENCE;

/** How long a test or a hook takes at most, in milliseconds. */
export const TEST_MS_MAX = 5 * WAIT_MS_MAX;

/** Between two questions, in milliseconds. */
const PAUSE_MS = 10;

/**
 * Repeats a question until it is answered with something.
 *
 * @throws at the deadline, saying what was waited for.
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`Waited ${WAIT_MS_MAX} ms in vain: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
