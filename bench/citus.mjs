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

export function runCommand(url, args) {
  const env = { ...process.env, DATABASE_URL: url };
  return execFileSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env });
}

/** Opens accounts in new stores, and gives each with the key of its store. */
export async function openStores(url, database, count, accounts) {
  const lines = [];
  for (let number = 0; number < count; number++) {
    const name = `bench ${Date.now()} ${number}`;
    const { key } = JSON.parse(runCommand(database, ['keys', 'create', '--store', name, '--json']));
    const ids = await openAccounts(url, accounts / count, key);
    lines.push(...ids.map((id) => `${id} ${key}`));
  }
  return lines;
}
