import { execFileSync } from 'node:child_process';
import { startCluster } from './cluster.mjs';
import { writeReport } from './report.mjs';
import { Suite } from './suite.mjs';

/**
 * Measures the goals as ratios against pgbench on the same PostgreSQL in the same run.
 * Arguments name sections to run: `npm run bench -- throughput idle`. None runs all of them.
 */

const cluster = await startCluster();
try {
  const suite = new Suite(cluster);
  const wanted = process.argv.slice(2);
  for (const [name, section] of Object.entries(suite.sections)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    process.stdout.write(`${name} …\n`);
    await section.call(suite);
  }
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  writeReport(suite.rows, { commit, postgres: cluster.version, settings: cluster.settings });
} finally {
  await cluster.stop();
}
