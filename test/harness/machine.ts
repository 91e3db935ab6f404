import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { answers } from './cluster.js';
import { onServer } from './database.js';

const GONE_MS_MAX = 30_000;

/** A PostgreSQL server on this machine that somebody else has started, to be killed. */
export class Machine {
  readonly #url: string;
  #pid: number;
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #directory: string;
  readonly #owner: { uid: number; gid: number };
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(url: string, pid: number, directory: string) {
    const [command, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const { uid, gid } = statSync(`/proc/${pid}`);
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    this.#url = url;
    this.#pid = pid;
    this.#command = command!;
    this.#args = args.filter((arg) => arg !== '');
    this.#directory = directory;
    this.#owner = { uid, gid };
    this.#environment = Object.fromEntries(
      variables.map((text) => [text.split('=')[0]!, text.slice(text.indexOf('=') + 1)]),
    );
  }

  /** @param url of a superuser, who may read the file that names the process. */
  static async at(url: string): Promise<Machine> {
    const [{ file }] = await onServer(url, "select pg_read_file('postmaster.pid') as file");
    const [pid, directory] = file.split('\n');
    return new Machine(url, Number(pid), directory);
  }

  /** Ends all of its processes at once, as when the machine loses its power. */
  async kill(): Promise<void> {
    const pids = [this.#pid, ...childrenOf(this.#pid)];
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended by itself meanwhile.
      }
    }
    // Whoever is left keeps the memory that they shared, beside which no other can start.
    const gone = () => pids.every((pid) => !existsSync(`/proc/${pid}`));
    await vi.waitFor(() => expect(gone()).toBe(true), { timeout: GONE_MS_MAX, interval: 10 });
  }

  /** Starts it as it was started before, with its environment; it stays when the tests have ended. */
  async start(): Promise<void> {
    const child = spawn(this.#command, this.#args, {
      ...this.#owner,
      cwd: this.#directory,
      env: this.#environment,
      detached: true,
      stdio: 'ignore',
    });
    child.unref();
    this.#pid = child.pid!;
    await answers(this.#url);
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        // What follows the name, which is in brackets, is the state and the parent.
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')')).split(' ')[2]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}
