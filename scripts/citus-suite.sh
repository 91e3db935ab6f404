#!/bin/sh
# Runs on a Citus cluster the tests that hold there, and prints what the cluster is.
#
#   scripts/citus-suite.sh DATABASE_URL
#
# The URL is that of a database on the coordinator that has the extension citus and knows its
# workers. Its role must be allowed to create databases on every machine: each test file makes
# some of its own, and removes them. Nothing is written to the database that the URL names.
set -eu
if [ $# -ne 1 ]; then
  echo "usage: scripts/citus-suite.sh DATABASE_URL" >&2
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

# Left out are test/ledger/plans and size, which read the plans and counts of one machine,
# silence and isolation, which set what a connection to one machine is, history, which expects the
# triggers, locked-rows and verify-funds, of which 4 tests each fail (docs/citus.md), and all tests
# that start a PostgreSQL of their own.
exec npx vitest run -t PostgreSQL \
  test/ledger/balance-at.test.ts test/ledger/counted.test.ts \
  test/ledger/holds.test.ts test/ledger/net.test.ts \
  test/ledger/partitions.test.ts test/ledger/parts.test.ts test/ledger/races.test.ts \
  test/ledger/reach.test.ts test/ledger/shares.test.ts test/ledger/span.test.ts \
  test/ledger/sweep.test.ts \
  test/ledger/voids.test.ts \
  test/contract/funds.test.ts test/contract/names.test.ts test/contract/recipes.test.ts \
  test/contract/replays.test.ts test/contract/sdk.test.ts \
  test/http/bad-input.test.ts test/http/bad-input-own.test.ts test/http/mutations.test.ts \
  test/property/ledger.test.ts test/property/funds.test.ts
