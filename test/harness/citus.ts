import { openPostgres } from '../../src/store/engine/postgres.js';
import { distribute } from '../../src/store/schema/distribute.js';
import { migrate } from '../../src/store/schema/migrate.js';
import { databaseUrl, onServer } from './database.js';

/**
 * A Citus cluster to test on. Its databases cannot be copied from a template: each is a database
 * of its own on every machine, with its own record of the machines and its own shards.
 */

/** What stands for spread data in a test; each table has as many shards. */
const SHARDS = 8;

/** Whether a server is the coordinator of a Citus cluster. */
export async function isCoordinator(url: string): Promise<boolean> {
  return (await onServer(url, "select 1 from pg_extension where extname = 'citus'")).length > 0;
}

interface Machine {
  readonly host: string;
  readonly port: number;
  readonly coordinates: boolean;
}

async function machinesOf(url: string): Promise<Machine[]> {
  return onServer(
    url,
    `select nodename as host, nodeport as port, groupid = 0 as coordinates
      from pg_dist_node order by groupid`,
  );
}

/** Where a database of the same name is on one machine. */
function onMachine(url: string, { host, port }: Machine, name: string): string {
  const other = new URL(databaseUrl(url, name));
  other.hostname = host;
  other.port = String(port);
  return other.toString();
}

/** Creates an empty database on every machine, which know of one another. */
export async function createOnMachines(url: string, name: string): Promise<string> {
  const machines = await machinesOf(url);
  for (const machine of machines) {
    await onServer(onMachine(url, machine, 'postgres'), `create database ${name}`);
    await onServer(onMachine(url, machine, name), 'create extension citus');
  }
  const target = databaseUrl(url, name);
  await onServer(url, `alter database ${name} set citus.shard_count = ${SHARDS}`);
  for (const { host, port, coordinates } of machines) {
    const add = coordinates ? 'citus_set_coordinator_host' : 'citus_add_node';
    await onServer(target, `select ${add}('${host}', ${port})`);
  }
  return target;
}

/** Creates such a database, and spreads the tables of this program's schema. */
export async function createSpread(url: string, name: string): Promise<string> {
  const target = await createOnMachines(url, name);
  const engine = await openPostgres({ url: target, lanes: 1 });
  try {
    await migrate(engine);
    await distribute(engine);
  } finally {
    await engine.close();
  }
  return target;
}

export async function dropSpread(url: string, name: string): Promise<void> {
  for (const machine of await machinesOf(url)) {
    await onServer(onMachine(url, machine, 'postgres'), `drop database ${name} with (force)`);
  }
}

/** On which machine the accounts of each store are, by the store's name. */
export async function machinesByStore(target: string): Promise<Map<string, string>> {
  const rows = await onServer(
    target,
    `select s.name, p.nodename || ':' || p.nodeport as machine from tallystick.stores as s
      join pg_dist_shard_placement as p on p.shardid =
        get_shard_id_for_distribution_column('tallystick.accounts', s.store_id)`,
  );
  return new Map(rows.map(({ name, machine }) => [name, machine]));
}

/** Where a database is on each machine. */
export async function machineUrls(
  target: string,
): Promise<{ coordinator: string; workers: string[] }> {
  const name = new URL(target).pathname.slice(1);
  const machines = await machinesOf(target);
  const urls = (coordinates: boolean) =>
    machines
      .filter((machine) => machine.coordinates === coordinates)
      .map((machine) => onMachine(target, machine, name));
  return { coordinator: urls(true)[0]!, workers: urls(false) };
}
