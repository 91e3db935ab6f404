#!/usr/bin/env node
import { Command } from 'commander';
import { SetupError } from '../ledger/index.js';
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

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof UsageError || error instanceof SetupError) {
    process.stderr.write(`tallystick: ${error.message}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  }
  throw error;
}
