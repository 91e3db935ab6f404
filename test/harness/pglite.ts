import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, openAsBlob, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { inject } from 'vitest';
import { engineOver } from '../../src/pglite/pglite.js';
import type { Engine } from '../../src/store/engine/db.js';
import { migrate } from '../../src/store/schema/migrate.js';
import { removeWithUs } from './leash.js';

/**
 * Embedded databases for tests are copies of one that was made and migrated at the start of the
 * run: making one takes seconds of a processor, and nearly every file has some.
 */

/** Makes the archive that others are copied from. */
export async function makeTemplate(): Promise<{ path: string; remove(): void }> {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-pglite-'));
  removeWithUs(folder);
  const database = await PGlite.create();
  await migrate(engineOver(database));
  const archive = await database.dumpDataDir('none');
  const path = join(folder, 'data.tar');
  writeFileSync(path, Buffer.from(await archive.arrayBuffer()));
  await database.close();
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A migrated database in memory. */
export async function openMemory(): Promise<Engine> {
  const loadDataDir = await openAsBlob(inject('pgliteTemplate'));
  return engineOver(await PGlite.create({ loadDataDir }));
}

/** Makes a migrated data directory, as `TALLYSTICK_DATA_DIR` names one. */
export function copyTemplate(directory: string): void {
  mkdirSync(directory, { mode: 0o700 });
  execFileSync('tar', ['-xf', inject('pgliteTemplate'), '-C', directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
