#!/bin/sh
# Runs on a Citus cluster the tests that hold there, and prints what the cluster is.
#
#   scripts/citus-suite.sh DATABASE_URL [--kill]
#
# The URL is that of a database on the coordinator that has the extension citus and knows its
# workers. Its role must be a superuser on every machine: each test file makes databases of its
# own, and removes them. Nothing is written to the database that the URL names.
#
# With --kill it also kills the machines of the cluster with SIGKILL while they are written to, and
# starts them again. All of them must run on this machine, and nobody may need them.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ "${2:---kill}" != --kill ]; then
  echo "usage: scripts/citus-suite.sh DATABASE_URL [--kill]" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
export TEST_DATABASE_URL="$1"

node --input-type=module -e '
import pg from "pg";
const client = new pg.Client({ connectionString: process.env.TEST_DATABASE_URL });
await client.connect();
const { rows } = await client.query("select citus_version() as citus, version() as postgresql");
const workers = "select count(*)::int as count from pg_dist_node where groupid > 0";
const nodes = await client.query(workers);
console.log(`${rows[0].citus}\n${rows[0].postgresql}\nworkers: ${nodes.rows[0].count}`);
await client.end();
'

npm run build --silent

# Left out are test/ledger/plans and size, which read the plans and counts of one machine, lanes,
# silence and move, which are about connections to one machine, schema, which reads its catalogue,
# test/e2e/verify, of which 5 tests damage by statements that Citus refuses, and all that start a
# PostgreSQL of their own to stop it or to begin it empty.
status=0
npx vitest run -t PostgreSQL \
  test/ledger/balance-at.test.ts test/ledger/counted.test.ts test/ledger/history.test.ts \
  test/ledger/holds.test.ts test/ledger/isolation.test.ts test/ledger/locked-rows.test.ts \
  test/ledger/net.test.ts test/ledger/partitions.test.ts test/ledger/parts.test.ts \
  test/ledger/races.test.ts test/ledger/reach.test.ts test/ledger/shares.test.ts \
  test/ledger/span.test.ts test/ledger/sweep.test.ts test/ledger/verify-funds.test.ts \
  test/ledger/voids.test.ts \
  test/contract/funds.test.ts test/contract/names.test.ts test/contract/recipes.test.ts \
  test/contract/replays.test.ts test/contract/sdk.test.ts \
  test/http/bad-input.test.ts test/http/bad-input-own.test.ts test/http/mutations.test.ts \
  test/property/ledger.test.ts test/property/funds.test.ts \
  test/webhooks/balances.test.ts test/webhooks/races.test.ts || status=1

# Real processes: one file at a time, so that none waits for another's.
npx vitest run --maxWorkers=1 test/citus/spread.test.ts test/webhooks/must-hold.test.ts \
  test/e2e/two-servers.test.ts || status=1

if [ "${2:-}" = --kill ]; then
  CITUS_KILL=yes npx vitest run test/citus/killed.test.ts || status=1
fi
exit $status
