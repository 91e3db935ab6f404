import { createHmac, randomBytes } from 'node:crypto';
import { formatId, type Uuid } from '../core/id.js';
import type { Endpoint } from '../store/webhooks/endpoints.js';
import type { SigningSecrets } from './secrets.js';

/** The two signature schemes that Creem's SDK verifies (contract 3.4). */

const SECRET_BYTES = 32;
const SECRET_PREFIX = 'whsec_';

export function generateSecret(): string {
  return SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64');
}

/** Bare lower-case hex, which every receiver accepts; the key is the whole secret as text. */
export function signCreem(secret: string, body: string): string {
  return createHmac('sha256', secret).update(body).digest('hex');
}

/** One signature of Standard Webhooks; the key is what the secret's base64 part decodes to. */
export function signStandard(
  secret: string,
  message: { id: string; timestamp: number; body: string },
): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
  const text = `${message.id}.${message.timestamp}.${message.body}`;
  return `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
}

/**
 * The headers of one attempt, for each secret that may be tried. Standard Webhooks carries the
 * signatures of both secrets at once. `creem-signature` has room for one, so while the previous
 * secret is valid there is a second set, for a receiver that refuses the first.
 *
 * @param now milliseconds since the Unix epoch: the standard scheme signs the attempt's time.
 */
export function signedHeaders(
  endpoint: SigningSecrets & Pick<Endpoint, 'signature'>,
  event: { eventId: Uuid; body: string },
  now: number,
): Record<string, string>[] {
  const { secret, previousSecret, signature } = endpoint;
  const secrets = previousSecret === null ? [secret] : [secret, previousSecret];
  const standard = signature === 'creem' ? {} : standardHeaders(secrets, event, now);
  if (signature === 'standard') return [standard];
  const sets = secrets.map((each) => ({
    'creem-signature': signCreem(each, event.body),
    ...standard,
  }));
  // A receiver that sees the standard headers decides by them alone.
  return signature === 'both' ? sets.slice(0, 1) : sets;
}

function standardHeaders(
  secrets: readonly string[],
  { eventId, body }: { eventId: Uuid; body: string },
  now: number,
): Record<string, string> {
  const id = formatId('event', eventId);
  const timestamp = Math.floor(now / 1000);
  const signatures = secrets.map((secret) => signStandard(secret, { id, timestamp, body }));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}
