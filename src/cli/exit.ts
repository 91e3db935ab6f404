import { CommanderError } from 'commander';
import { isLost, SetupError } from '../ledger/index.js';
import { UsageError } from './settings.js';

/** The exit codes; they are documented in docs/cli.md and stay as they are. */
export const EXIT = {
  ok: 0,
  /** The command failed, or what it checks is not as it should be. */
  failed: 1,
  /** The command line or a setting cannot be used. */
  usage: 2,
  /** The database cannot be reached or opened, or lacks migrations. */
  unavailable: 3,
} as const;

/** A command that did not do what was asked, told in one line. */
export class CommandError extends Error {}

/** @returns the code to exit with, and the one line to say; no line where help was shown. */
export function explain(error: unknown): { code: number; line?: string } {
  if (error instanceof CommanderError) return explainUsage(error);
  const line = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return { code: EXIT.usage, line };
  if (error instanceof SetupError) return { code: EXIT.unavailable, line };
  if (isLost(error)) {
    return { code: EXIT.unavailable, line: `The database went away: ${line}.` };
  }
  return { code: EXIT.failed, line };
}

function explainUsage({ code, exitCode, message }: CommanderError) {
  if (exitCode === 0) return { code: EXIT.ok };
  // Without a command its help has been shown, on stderr.
  if (code === 'commander.help') return { code: EXIT.usage };
  const [first] = message.replace(/^error: /, '').split('\n');
  return { code: EXIT.usage, line: `${first}. See tallystick --help.`.replace('..', '.') };
}
