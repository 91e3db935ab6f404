#!/usr/bin/env node
import { Command } from 'commander';
import { SetupError } from '../ledger/index.js';
import { deliver } from './delivery.js';
import { type ListenFlags, listen } from './listen.js';
import { serve } from './serve.js';
import { type Flags, readSettings, UsageError } from './settings.js';

const program = new Command('tallystick').description(
  'Self-hosted customer credits on a true double-entry ledger.',
);

function withDatabase(command: Command): Command {
  return command
    .option('--database-url <url>', 'PostgreSQL to use (DATABASE_URL)')
    .option('--data-dir <path>', 'where embedded PGlite keeps data (TALLYSTICK_DATA_DIR)');
}

withDatabase(program.command('serve'))
  .description('run the server')
  .option('--host <address>', 'address to listen on (HOST)')
  .option('--port <number>', 'port to listen on (PORT)')
  .option('--api-key <key>', 'a key to ensure at start (TALLYSTICK_API_KEY)')
  .option('--log-level <level>', 'debug, info, warn, error or silent (LOG_LEVEL)')
  .action((flags: Flags) => serve(readSettings(flags, process.env)));

withDatabase(program.command('deliver'))
  .description('deliver webhooks, apart from any server')
  .option('--log-level <level>', 'debug, info, warn, error or silent (LOG_LEVEL)')
  .action((flags: Flags) => deliver(readSettings(flags, process.env)));

program
  .command('listen')
  .description('forward webhook events to a server on this machine')
  .requiredOption('--forward-to <url>', 'where to post events, such as http://localhost:3000/hook')
  .option('--url <url>', 'the Tallystick server (TALLYSTICK_URL)')
  .option('--api-key <key>', 'a key of the store (TALLYSTICK_API_KEY)')
  .option('--events <names>', 'events to ask for, separated by commas')
  .action((flags: ListenFlags) => listen(flags));

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof UsageError || error instanceof SetupError) {
    process.stderr.write(`tallystick: ${error.message}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
  throw error;
}
