import {
  formatId,
  inspectSecrets,
  parseSecretKey,
  resealSecrets,
  SecretKeys,
} from '../ledger/index.js';
import { withLedger } from './engine.js';
import { CommandError } from './exit.js';
import { type OutputFlags, print, say } from './output.js';
import { type Settings, UsageError } from './settings.js';

/** The keys that webhooks' signing secrets are sealed with in the database. */

const CURRENT = 'TALLYSTICK_SECRET_KEY';
const PREVIOUS = 'TALLYSTICK_SECRET_KEY_PREVIOUS';

/** @throws {UsageError} naming the variable that holds no key, and never what it holds. */
export function readSecretKeys(env: NodeJS.ProcessEnv): SecretKeys {
  return new SecretKeys(readKey(env, CURRENT), readKey(env, PREVIOUS));
}

function readKey(env: NodeJS.ProcessEnv, name: string): Buffer | undefined {
  // An empty variable is one that was not set.
  const text = env[name] || undefined;
  const key = text === undefined ? undefined : parseSecretKey(text);
  if (text === undefined || key !== undefined) return key;
  throw new UsageError(
    `${name} must be 32 bytes, as 44 characters of base64 or 64 hex digits. Make one with: openssl rand -base64 32`,
  );
}

/** Seals all secrets under the current key: those in plain text, and those under the previous. */
export async function rotateSecrets(settings: Settings, flags: OutputFlags): Promise<void> {
  const keys = readSecretKeys(process.env);
  if (keys.sealingId === undefined) {
    throw new UsageError(
      `secrets rotate needs ${CURRENT}. To go back to plain text, use tallystick secrets decrypt.`,
    );
  }
  await reseal(settings, flags, keys, `sealed under key ${keys.sealingId}`);
}

/** Stores all secrets as plain text again. */
export async function decryptSecrets(settings: Settings, flags: OutputFlags): Promise<void> {
  const { env } = process;
  const given = readKey(env, CURRENT);
  const previous = readKey(env, PREVIOUS);
  if (given === undefined && previous === undefined) {
    throw new UsageError(`secrets decrypt needs the key in ${CURRENT} or ${PREVIOUS}.`);
  }
  const keys = new SecretKeys(undefined, previous, given);
  await reseal(settings, flags, keys, 'plain text');
}

async function reseal(
  settings: Settings,
  flags: OutputFlags,
  keys: SecretKeys,
  form: string,
): Promise<void> {
  const done = await withLedger(settings, ({ reader }) => resealSecrets(reader, keys));
  const { changed, unchanged } = done;
  const unreadable = done.unreadable.map(({ endpointId, reason }) => ({
    webhook: formatId('webhook', endpointId),
    reason,
  }));
  const line = `${changed} webhooks' secrets are now ${form}; ${unchanged} were already.`;
  print(flags, { changed, unchanged, unreadable }, line);
  for (const { webhook, reason } of unreadable) say(`${webhook}: ${reason}`);
  if (unreadable.length > 0) {
    throw new CommandError(`${unreadable.length} could not be read and stay as they are.`);
  }
}

/** What `doctor` says of them. */
export async function checkSecrets(
  reader: Parameters<typeof inspectSecrets>[0],
  keys: SecretKeys,
): Promise<{ status: 'ok' | 'warn' | 'fail'; message: string }> {
  const { endpoints, plain, outdated, unreadable } = await inspectSecrets(reader, keys);
  const [first] = unreadable;
  if (first !== undefined) {
    const webhook = formatId('webhook', first.endpointId);
    const message = `${unreadable.length} of ${endpoints} webhooks cannot sign; ${webhook}: ${first.reason}`;
    return { status: 'fail', message };
  }
  if (endpoints === 0) return { status: 'ok', message: 'there are no webhooks' };
  if (keys.sealingId === undefined) {
    const message = `those of ${plain} of ${endpoints} webhooks are plain text in the database. Set ${CURRENT} and run tallystick secrets rotate.`;
    return { status: 'warn', message };
  }
  if (plain + outdated > 0) {
    const message = `those of ${plain} of ${endpoints} webhooks are plain text, and of ${outdated} under another key. Run tallystick secrets rotate.`;
    return { status: 'warn', message };
  }
  const message = `those of ${endpoints} webhooks are encrypted under key ${keys.sealingId}`;
  return { status: 'ok', message };
}
