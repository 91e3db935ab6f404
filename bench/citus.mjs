import { execFileSync } from 'node:child_process';
import pg from 'pg';
import { openAccounts } from './load.mjs';

/** What the benchmark needs of a Citus cluster that somebody else has started. */

const MAIN = new URL('../dist/cli/main.js', import.meta.url).pathname;
const DURABLE = ['fsync', 'synchronous_commit', 'full_page_writes'];

/** @throws where a machine of the cluster promises less, or more, than what it stands beside. */
export async function expectSameSettings(url, settings) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const name of DURABLE) {
      const { rows } = await client.query(
        'select nodename, nodeport, result from run_command_on_all_nodes($1) join pg_dist_node using (nodeid)',
        [`show ${name}`],
      );
      const other = rows.find(({ result }) => result !== settings[name]);
      if (other === undefined) continue;
      const { nodename, nodeport, result } = other;
      throw new Error(`${nodename}:${nodeport} has ${name} = ${result}, not ${settings[name]}.`);
    }
  } finally {
    await client.end();
  }
}

/** @returns the key of a new store. */
function createKey(url, store) {
  const args = [MAIN, 'keys', 'create', '--store', store, '--json'];
  const env = { ...process.env, DATABASE_URL: url };
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })).key;
}

/** Opens accounts in new stores, and gives each with the key of its store. */
export async function openStores(url, database, count, accounts) {
  const lines = [];
  for (let number = 0; number < count; number++) {
    const key = createKey(database, `bench ${Date.now()} ${number}`);
    const ids = await openAccounts(url, accounts / count, key);
    lines.push(...ids.map((id) => `${id} ${key}`));
  }
  return lines;
}
