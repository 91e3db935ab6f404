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
  while kill -0 "\${each%/*}" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -9 "\${each%/*}"
done 2>&-
[ -z "$folders" ] || rm -rf $folders
`;

let leash: Writable | undefined;

function held(): Writable {
  if (leash !== undefined) return leash;
  // A session of its own, for Ctrl-C is sent to all processes of a terminal's group.
  const shell = spawn('sh', ['-c', SCRIPT], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  shell.stdin.on('error', () => {});
  leash = shell.stdin;
  return leash;
}

/** Ends a process by this signal once the process that started it is gone. */
export function endWithUs(child: ChildProcess, signal: NodeJS.Signals): void {
  const { pid } = child;
  if (pid === undefined) return;
  const line = held();
  line.write(`started ${pid} ${signal.replace('SIG', '')}\n`);
  child.once('exit', () => line.write(`ended ${pid}\n`));
}

/** Removes a folder, whose path has no spaces, once all that was to end has ended. */
export function removeWithUs(folder: string): void {
  held().write(`folder ${folder}\n`);
}
