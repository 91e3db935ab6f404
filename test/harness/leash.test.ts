import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Leash } from './leash.js';
import { until } from './until.js';

/** The end of a run is played by closing what the system closes for whoever is gone. */

const sleeper = () => spawn('sleep', ['3600'], { stdio: 'ignore' });

test('what a run started ends with it, by its own signal, and its folders are removed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-leash-'));
  const children = [sleeper(), sleeper(), sleeper()] as const;
  const signals = ['SIGTERM', 'SIGQUIT', 'SIGKILL'] as const;
  const leash = new Leash();
  leash.removes(folder);
  for (const [index, child] of children.entries()) leash.ends(child, signals[index]!);
  const ended = children.map((child) => once(child, 'exit'));
  leash.letGo();
  expect((await Promise.all(ended)).map(([, signal]) => signal)).toEqual(signals);
  await until('the folder is removed', () => !existsSync(folder));
});

test('what does not heed its signal is killed', async () => {
  const deaf = spawn('sh', ['-c', "trap '' TERM; echo ready; while :; do sleep 1; done"]);
  await once(deaf.stdout, 'data');
  const leash = new Leash(2);
  leash.ends(deaf, 'SIGTERM');
  const ended = once(deaf, 'exit');
  leash.letGo();
  expect((await ended)[1]).toBe('SIGKILL');
});

test('what has ended by itself is left alone, for its id may be another’s by then', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tallystick-leash-'));
  const [first, second, stranger] = [sleeper(), sleeper(), sleeper()];
  const leash = new Leash();
  leash.removes(folder);
  leash.ends(first, 'SIGTERM');
  // As if the system had given its id to somebody else after its end.
  leash.ends(stranger, 'SIGTERM');
  stranger.emit('exit', 0, null);
  leash.ends(second, 'SIGTERM');
  const ended = [first, second].map((child) => once(child, 'exit'));
  leash.letGo();
  await Promise.all(ended);
  await until('it is done', () => !existsSync(folder));
  expect(stranger.signalCode).toBeNull();
  stranger.kill('SIGKILL');
  await once(stranger, 'exit');
});
