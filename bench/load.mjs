import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Load by wrk, which costs a tenth of what a generator in Node would take from the server. */

export const KEY = 'tally_test_benchbenchbenchbench';

const directory = mkdtempSync(join(tmpdir(), 'tallystick-load-'));
const script = new URL('./load.lua', import.meta.url).pathname;
let runs = 0;

/**
 * Sends requests for some seconds.
 *
 * @returns requests a second, the median latency in milliseconds, and how many were not 2xx.
 */
export function load(url, options) {
  const { command, args, settings } = wrk(url, options);
  return parse(execFileSync(command, args, settings));
}

/** The same without blocking this process; resolves to requests a second. */
export async function loadAside(url, options) {
  const { command, args, settings } = wrk(url, options);
  const { stdout } = await promisify(execFile)(command, args, settings);
  const { rate, failed } = parse(stdout);
  if (failed > 0) throw new Error(`${failed} requests failed.`);
  return rate;
}

function wrk(url, { ids, kind = 'debit', connections = 256, seconds, bulk = 1 }) {
  runs++;
  const file = join(directory, `ids_${runs}`);
  writeFileSync(file, `${ids.join('\n')}\n`);
  const shape = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '--latency'];
  const run = `${process.pid}_${Date.now()}_${runs}`;
  const env = { ...process.env, IDS: file, KIND: kind, BULK: String(bulk), KEY, RUN: run };
  const args = [...shape, '-s', script, url];
  return { command: 'wrk', args, settings: { encoding: 'utf8', env } };
}

function parse(output) {
  const number = (pattern) => Number(pattern.exec(output)?.[1] ?? 0);
  const p50 = /50%\s+([\d.]+)(us|ms|s)/.exec(output);
  return {
    rate: number(/Requests\/sec:\s+([\d.]+)/),
    p50: Number(p50[1]) * { us: 0.001, ms: 1, s: 1000 }[p50[2]],
    failed: number(/Non-2xx or 3xx responses: (\d+)/),
  };
}

export async function api(url, method, path, body, key = KEY) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Opens accounts in parallel, each with enough for any run. */
export async function openAccounts(url, count, key = KEY) {
  const ids = [];
  const open = async (number) => {
    const customer = `bench_${process.pid}_${runs}_${number}`;
    const body = { customer_id: customer, initial_balance: '1000000000000' };
    const account = await api(url, 'POST', '/v1/customer-credits/accounts', body, key);
    ids.push(account.id);
  };
  runs++;
  for (let start = 0; start < count; start += 200) {
    const size = Math.min(200, count - start);
    await Promise.all(Array.from({ length: size }, (_, i) => open(start + i)));
  }
  return ids;
}

/** The most resident memory that a process has had, in megabytes. */
export function memoryOf(pid) {
  // A process that has ended, but was not waited for, has no such line any more.
  const pages = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(pages?.[1] ?? 0) / 1024);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

export function spread(values) {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}
