import { readFileSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { openPostgres } from '../../src/store/engine/postgres.js';
import { migrate } from '../../src/store/schema/migrate.js';
import { isCoordinator } from './citus.js';
import { type Cluster, findBinaries, startCluster } from './cluster.js';
import { databaseUrl, onServer } from './database.js';
import { inFrontOf } from './pgbouncer.js';
import { makeTemplate } from './pglite.js';

/**
 * Runs once before all tests: finds or starts PostgreSQL and migrates the database that all
 * others are copied from.
 */

interface Server {
  readonly url: string;
  /** Where engines reach it: the same, or the pooler that TEST_POOLER asks for. */
  readonly front: string;
  readonly version: string;
  readonly template: string;
  readonly citus: boolean;
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Where PostgreSQL is; undefined where there is none. */
    postgres: Server | undefined;
    pglite: string;
    /** The archive of a migrated data directory. */
    pgliteTemplate: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  project.provide('pglite', pgliteVersion());
  const pglite = await makeTemplate();
  project.provide('pgliteTemplate', pglite.path);
  const cluster = await findCluster();
  if (cluster === undefined) {
    project.provide('postgres', undefined);
    return async () => pglite.remove();
  }
  const template = `tallystick_template_${process.pid}`;
  const citus = await isCoordinator(cluster.url);
  let front: Cluster | undefined;
  try {
    await onServer(cluster.url, `create database ${template}`);
    const engine = await openPostgres({ url: databaseUrl(cluster.url, template), lanes: 1 });
    await migrate(engine);
    await engine.close();
    front = await inFrontOf(cluster.url);
    const server = { url: cluster.url, front: front.url, template, citus };
    project.provide('postgres', { ...server, version: await version(cluster) });
  } catch (error) {
    await front?.stop();
    await cluster.stop();
    throw error;
  }
  return async () => {
    await front?.stop();
    await onServer(cluster.url, `drop database if exists ${template} with (force)`);
    await cluster.stop();
    pglite.remove();
  };
}

async function findCluster(): Promise<Cluster | undefined> {
  if (process.env.TEST_POSTGRES === 'off') return undefined;
  const url = process.env.TEST_DATABASE_URL;
  if (url) return { url, stop: async () => {} };
  const binaries = findBinaries();
  return binaries === undefined ? undefined : startCluster(binaries);
}

async function version({ url }: Cluster): Promise<string> {
  const rows = await onServer(url, "select current_setting('server_version') as version");
  return String(rows[0].version).split(' ')[0]!;
}

function pgliteVersion(): string {
  const manifest = new URL('../../node_modules/@electric-sql/pglite/package.json', import.meta.url);
  try {
    return JSON.parse(readFileSync(manifest, 'utf8')).version;
  } catch {
    return 'absent';
  }
}
