import { describe, inject } from 'vitest';
import type { Engine } from '../../src/store/engine/db.js';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { createSpread, dropSpread } from './citus.js';
import { databaseUrl, onServer } from './database.js';
import { suiteMode } from './pgbouncer.js';
import { openMemory } from './pglite.js';

/** A fresh, migrated database of a test file's own. */
export interface TestDatabase {
  readonly engine: Engine;
  /** Where it is to be reached; PostgreSQL only. */
  readonly url?: string;
  /** The same without the pooler that may stand in front of the server. */
  readonly direct?: string;
  /** Another engine on the same database, as a second server would have; PostgreSQL only. */
  another(lanes?: number): Promise<Engine>;
  /** Closes every engine and removes the database. */
  drop(): Promise<void>;
}

export interface TestEngine {
  readonly name: string;
  readonly available: boolean;
  create(options?: DatabaseOptions): Promise<TestDatabase>;
}

export type Isolation = 'repeatable read' | 'serializable';

export interface DatabaseOptions {
  readonly lanes?: number;
  /** What every transaction of this database is, unless it says otherwise. */
  readonly isolation?: Isolation;
}

const server = inject('postgres');
let created = 0;

export const PGLITE: TestEngine = {
  name: 'PGlite',
  available: process.env.TEST_PGLITE !== 'off',
  create: createPglite,
};
export const POSTGRES: TestEngine = {
  name: 'PostgreSQL',
  available: server !== undefined,
  create: createPostgres,
};

/** Declares the same tests for both engines; what cannot run here is shown as skipped. */
export function onEngines(declare: (engine: TestEngine) => void): void {
  for (const engine of [PGLITE, POSTGRES]) onEngine(engine, declare);
}

export function onEngine(engine: TestEngine, declare: (engine: TestEngine) => void): void {
  describe.skipIf(!engine.available)(engine.name, () => declare(engine));
}

async function createPglite({ isolation }: DatabaseOptions = {}): Promise<TestDatabase> {
  const engine = await openMemory();
  if (isolation !== undefined) {
    await engine.reader.query(`set default_transaction_isolation = '${isolation}'`);
  }
  return {
    engine,
    another: () => Promise.reject(new Error('PGlite has one session only.')),
    drop: () => engine.close(),
  };
}

async function createPostgres(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const { url, front, template, citus } = server!;
  const name = `tallystick_test_${process.pid}_${created++}`;
  if (citus) await createSpread(url, name);
  else await onServer(url, `create database ${name} template ${template}`);
  if (options.isolation !== undefined) {
    const setting = `default_transaction_isolation = '${options.isolation}'`;
    await onServer(url, `alter database ${name} set ${setting}`);
  }
  const engines: Engine[] = [];
  const target = databaseUrl(front, name);
  // Behind a session pooler these keep named statements; what tests open themselves finds out.
  const pooler = suiteMode() === 'session' ? 'session' : undefined;
  const another = async (lanes?: number) => {
    const engine = await openPostgres({ url: target, pooler, ...(lanes && { lanes }) });
    engines.push(engine);
    return engine;
  };
  return {
    engine: await another(options.lanes),
    url: target,
    direct: databaseUrl(url, name),
    another,
    async drop() {
      await Promise.all(engines.map((engine) => engine.close()));
      if (citus) await dropSpread(url, name);
      else await onServer(url, `drop database ${name} with (force)`);
    },
  };
}
