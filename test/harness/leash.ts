import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/**
 * What tests start ends with them, also where they are stopped by Ctrl-C, by SIGTERM or by
 * SIGKILL and run no hook any more: a shell beside them is told of every process and folder, and
 * ends what is left once its input is closed, which the system does for whoever is gone.
 */
const SCRIPT = `
trap '' HUP INT TERM
live=' ' folders=
while read -r word pid signal; do
  case $word in
    folder) folders="$folders $pid" ;;
    started) live="$live$pid/$signal " ;;
    ended) rest="\${live#* $pid/}"; live="\${live%% $pid/*} \${rest#* }" ;;
  esac
done
for each in $live; do kill -"\${each#*/}" "\${each%/*}"; done 2>&-
for each in $live; do
  tries=0
  while kill -0 "\${each%/*}" && [ $tries -lt $1 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -9 "\${each%/*}"
done 2>&-
[ -z "$folders" ] || rm -rf $folders
`;

/** A shell that ends what is told to it once this process is gone, or lets it go. */
export class Leash {
  readonly #lines: Writable;

  /** @param grace how long what heeds no signal is left, in tenths of a second. */
  constructor(grace = 100) {
    // A session of its own, for Ctrl-C is sent to all processes of a terminal's group.
    const shell = spawn('sh', ['-c', SCRIPT, 'leash', String(grace)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    shell.unref();
    (shell.stdin as unknown as { unref(): void }).unref();
    shell.stdin.on('error', () => {});
    this.#lines = shell.stdin;
  }

  ends(child: ChildProcess, signal: NodeJS.Signals): void {
    const { pid } = child;
    if (pid === undefined) return;
    this.#lines.write(`started ${pid} ${signal.replace('SIG', '')}\n`);
    child.once('exit', () => this.#lines.write(`ended ${pid}\n`));
  }

  /** The path of the folder must have no spaces. */
  removes(folder: string): void {
    this.#lines.write(`folder ${folder}\n`);
  }

  /** Does what the system does where this process is gone. */
  letGo(): void {
    this.#lines.destroy();
  }
}

let own: Leash | undefined;

/** Ends a process by this signal once the process that started it is gone. */
export function endWithUs(child: ChildProcess, signal: NodeJS.Signals): void {
  own ??= new Leash();
  own.ends(child, signal);
}

/** Removes a folder once this process is gone, and what it started has ended. */
export function removeWithUs(folder: string): void {
  own ??= new Leash();
  own.removes(folder);
}
