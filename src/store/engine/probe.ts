import type { Db } from './db.js';

/**
 * Writes to the database's log and waits until that is safe on disk, as a commit does, without
 * changing a row. It fails where the database is read-only.
 */
export async function probeWrite(db: Db): Promise<void> {
  await db.query("select pg_logical_emit_message(true, 'tallystick', 'probe')");
}
