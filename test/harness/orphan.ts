/**
 * A worker that vitest left behind, for it was stopped, would run its tests to their end. It ends
 * at once, and what it started ends with it (leash.ts). Vitest lets nobody call `process.exit`.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
