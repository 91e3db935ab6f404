import { appendFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** Appends what was measured, with the day and the machine, and prints it. */
export function writeReport(rows, { commit, postgres, settings }) {
  const day = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const table = rows.map(
    ({ what, value, goal, met, detail }) =>
      `| ${what} | ${goal ?? ''} | ${value} | ${met === undefined ? '' : met ? 'yes' : '**no**'} | ${detail} |`,
  );
  const text = [
    `## ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit}`,
    '',
    `${machine}; Node ${process.version}; ${postgres}; ${Object.entries(settings)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ')}. The load generator (wrk, one thread) shares the machine.`,
    '',
    '| what | goal | measured | met | detail |',
    '|---|---|---|---|---|',
    ...table,
    '',
    '',
  ].join('\n');
  process.stdout.write(`\n${text}`);
  appendFileSync(new URL(`./results/${day}.md`, import.meta.url), text);
}
