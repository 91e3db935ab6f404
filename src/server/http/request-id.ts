import { randomBytes } from 'node:crypto';

const SANE = /^[\w.:-]{1,100}$/;
// A random start and a counter: unique without asking for randomness at each request.
const start = randomBytes(9).toString('base64url').replaceAll('-', '_');
let count = 0;

/** The caller's own request id where it is a sane one, or else a new one. */
export function requestIdOf(sent: string | undefined): string {
  if (sent !== undefined && SANE.test(sent)) return sent;
  count += 1;
  return `req_${start}${count.toString(36).padStart(6, '0')}`;
}
