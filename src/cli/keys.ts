import {
  type ApiKey,
  ensureKey,
  formatId,
  generateKey,
  listKeys,
  listStores,
  parseId,
  revokeKey,
  SCOPES,
  type Store,
  type StoreMode,
} from '../ledger/index.js';
import { withLedger } from './engine.js';
import { CommandError } from './exit.js';
import { type OutputFlags, print, say, table } from './output.js';
import { type Settings, UsageError } from './settings.js';

export interface CreateFlags extends OutputFlags {
  readonly mode: StoreMode;
  readonly store: string;
  readonly name: string;
  readonly scope?: readonly string[];
}

const NAME_MAX = 100;

/** Creates a key, and with it its store where there is none of this name and mode yet. */
export async function createKey(settings: Settings, flags: CreateFlags): Promise<void> {
  const { mode, store, name } = flags;
  for (const [flag, text] of Object.entries({ '--store': store, '--name': name })) {
    if (text.trim() === '' || text.length > NAME_MAX) {
      throw new UsageError(`${flag} must have 1 to ${NAME_MAX} characters.`);
    }
  }
  const scopes = [...new Set(flags.scope ?? ['*'])];
  const key = generateKey(mode);
  const id = await withLedger(settings, ({ reader }) =>
    ensureKey(reader, key, { store, name, scopes }),
  );
  const keyId = formatId('key', id!);
  if (!flags.json) {
    say(`Created ${keyId} for the ${mode} store "${store}", scopes ${scopes.join(', ')}.`);
    say('This is the only time that the key is shown:');
  }
  print(flags, { id: keyId, key, store, mode, name, scopes }, key);
}

/** Lists all keys, without anything that would let anybody in. */
export async function showKeys(settings: Settings, flags: OutputFlags): Promise<void> {
  const [keys, stores] = await withLedger(settings, async ({ reader }) => [
    await listKeys(reader),
    await listStores(reader),
  ]);
  const storeOf = new Map(stores.map((store) => [store.id, store]));
  const items = keys.map((key) => presentKey(key, storeOf.get(key.storeId)!));
  const heading = [
    'id',
    'key',
    'store',
    'mode',
    'scopes',
    'name',
    'created',
    'last used',
    'revoked',
  ];
  const rows = items.map((item) => [
    item.id,
    `${item.hint}...`,
    item.store,
    item.mode,
    item.scopes.join(','),
    item.name,
    item.created_at,
    item.last_used_at ?? 'never',
    item.revoked_at ?? '-',
  ]);
  print(flags, items, table([heading, ...rows]));
}

export async function revoke(settings: Settings, id: string, flags: OutputFlags): Promise<void> {
  const keyId = parseId('key', id);
  if (keyId === undefined) {
    throw new UsageError('A key id has the form key_ and 22 characters. See tallystick keys list.');
  }
  const isRevoked = await withLedger(settings, ({ reader }) => revokeKey(reader, keyId));
  if (!isRevoked) {
    throw new CommandError(`There is no valid key ${id}. See tallystick keys list.`);
  }
  print(flags, { id, revoked: true }, `Revoked ${id}: every server refuses it within a second.`);
}

/** Reads `--scope`, which may be given several times. */
export function collectScope(scope: string, earlier: readonly string[] = []): string[] {
  if (!(SCOPES as readonly string[]).includes(scope)) {
    throw new UsageError(`--scope must be one of ${SCOPES.join(', ')}, not "${scope}".`);
  }
  return [...earlier, scope];
}

function presentKey(key: ApiKey, store: Store) {
  return {
    id: formatId('key', key.id),
    hint: key.hint,
    store: store.name,
    mode: store.mode,
    scopes: key.scopes,
    name: key.name,
    created_at: time(key.createdAt)!,
    last_used_at: time(key.lastUsedAt),
    revoked_at: time(key.revokedAt),
  };
}

function time(instant: number | null): string | null {
  return instant === null ? null : new Date(instant).toISOString();
}
