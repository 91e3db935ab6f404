#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { SCOPES } from '../ledger/index.js';
import { deliver } from './delivery.js';
import { doctor } from './doctor.js';
import { explain } from './exit.js';
import { type CreateFlags, collectScope, createKey, revoke, showKeys } from './keys.js';
import { type ListenFlags, listen } from './listen.js';
import { type MigrateFlags, runMigrations } from './migrate.js';
import { type ExportFlags, runExport, runImport } from './move.js';
import { type OutputFlags, say } from './output.js';
import { decryptSecrets, rotateSecrets } from './secrets.js';
import { serve } from './serve.js';
import { type Flags, readSettings, type Settings } from './settings.js';
import { verify } from './verify.js';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);

/** What went wrong is told once, by `explain`; the parser only raises it. */
const program = new Command('tallystick')
  .description('Self-hosted customer credits on a true double-entry ledger.')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => {} });

function command(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .allowExcessArguments(false)
    .option('--database-url <url>', 'PostgreSQL to use (DATABASE_URL)')
    .option('--data-dir <path>', 'where embedded PGlite keeps data (TALLYSTICK_DATA_DIR)')
    .option('--log-level <level>', 'debug, info, warn, error or silent (LOG_LEVEL)')
    .option('--json', 'print JSON on standard output');
}

function settingsOf(flags: Flags): Settings {
  return readSettings(flags, process.env);
}

command(program, 'serve', 'run the server')
  .option('--host <address>', 'address to listen on (HOST)')
  .option('--port <number>', 'port to listen on (PORT)')
  .option('--api-key <key>', 'a key to ensure at start (TALLYSTICK_API_KEY)')
  .action((flags: Flags & OutputFlags) => serve(settingsOf(flags), flags));

command(program, 'migrate', "bring the database up to this version's schema")
  .option('--plan', 'print the SQL that would run, and run nothing')
  .option('--distribute', 'spread the tables over a Citus cluster as well')
  .action((flags: Flags & MigrateFlags) => runMigrations(settingsOf(flags), flags));

const keys = program.command('keys').description('create, list and revoke API keys');

command(keys, 'create', 'create an API key, and show it once')
  .addOption(
    new Option('--mode <mode>', 'mode of its store').choices(['test', 'live']).default('test'),
  )
  .option('--store <name>', 'its store, created where it is missing', 'default')
  .option('--name <name>', 'what the key is for', 'unnamed')
  .option('--scope <scope>', `${SCOPES.join(', ')}; may be repeated`, collectScope)
  .action((flags: Flags & CreateFlags) => createKey(settingsOf(flags), flags));

command(keys, 'list', 'list all keys, without the keys themselves').action(
  (flags: Flags & OutputFlags) => showKeys(settingsOf(flags), flags),
);

command(keys, 'revoke', 'revoke a key; every server refuses it within a second')
  .argument('<key_id>', 'as keys list shows it')
  .action((id: string, flags: Flags & OutputFlags) => revoke(settingsOf(flags), id, flags));

const secrets = program
  .command('secrets')
  .description("encrypt webhooks' signing secrets in the database");

command(secrets, 'rotate', 'encrypt all with TALLYSTICK_SECRET_KEY').action(
  (flags: Flags & OutputFlags) => rotateSecrets(settingsOf(flags), flags),
);

command(secrets, 'decrypt', 'store all as plain text again').action((flags: Flags & OutputFlags) =>
  decryptSecrets(settingsOf(flags), flags),
);

command(program, 'verify', 'prove every balance from the entries').action(
  (flags: Flags & OutputFlags) => verify(settingsOf(flags), flags),
);

command(program, 'export', 'write all stores, or one, to a file')
  .argument('<file>', 'the file to make')
  .option('--store <id|name>', 'this store alone')
  .action((file: string, flags: Flags & ExportFlags) => runExport(settingsOf(flags), file, flags));

command(program, 'import', 'fill an empty database from such a file')
  .argument('<file>', 'what export has made')
  .action((file: string, flags: Flags & OutputFlags) => runImport(settingsOf(flags), file, flags));

command(program, 'doctor', 'check everything that a start depends on').action(
  (flags: Flags & OutputFlags) => doctor(settingsOf(flags), flags),
);

command(program, 'deliver', 'deliver webhooks, apart from any server').action((flags: Flags) =>
  deliver(settingsOf(flags)),
);

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
  const { code, line } = explain(error);
  if (line !== undefined) say(`tallystick: ${line}`);
  if (isDebug() && error instanceof Error) say(error.stack ?? '');
  // What a failed start may have left open must not keep the process from ending.
  process.exit(code);
}

/** The level is read as it stands, because it may be what was wrong. */
function isDebug(): boolean {
  const flag = process.argv.indexOf('--log-level');
  const level = flag < 0 ? process.env.LOG_LEVEL : process.argv[flag + 1];
  return level === 'debug' || process.argv.includes('--log-level=debug');
}
