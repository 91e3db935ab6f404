import {
  type Engine,
  type Inspection,
  inspectDatabase,
  pendingMigrations,
  type SecretKeys,
  SetupError,
  schemaFault,
} from '../ledger/index.js';
import { openEngine } from './engine.js';
import { EXIT } from './exit.js';
import { colored, type OutputFlags, print } from './output.js';
import { checkSecrets, readSecretKeys } from './secrets.js';
import type { Settings } from './settings.js';

/** One thing that was looked at, and what to do where it is not as it should be. */
interface Finding {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
}

const NODE_MIN = [20, 19] as const;
/** Times come from the database, so a difference only puzzles people who compare logs. */
const SKEW_MS_MAX = 1_000;

/** Looks at everything that a start depends on. A failed check makes the exit code 1 or 3. */
export async function doctor(settings: Settings, flags: OutputFlags): Promise<void> {
  const keys = readSecretKeys(process.env);
  const findings = [checkNode(process.versions.node)];
  const engine = await tryOpen(settings, findings);
  if (engine !== undefined) {
    try {
      findings.push(...(await examine(engine, keys)));
    } finally {
      await engine.close();
    }
  }
  const text = findings.map(
    ({ check, status, message }) => `${colored(status)} ${check}: ${message}`,
  );
  print(flags, { checks: findings }, text.join('\n'));
  if (engine === undefined) process.exitCode = EXIT.unavailable;
  else if (findings.some(({ status }) => status === 'fail')) process.exitCode = EXIT.failed;
}

/** @param version such as `20.19.4`. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < NODE_MIN[0] || (major === NODE_MIN[0] && minor < NODE_MIN[1]);
  return isOld
    ? finding('node', 'fail', `${version} is too old. Install Node ${NODE_MIN.join('.')} or later.`)
    : finding('node', 'ok', version);
}

/** Opening tells of an unreachable server, and of a directory that is in use or damaged. */
async function tryOpen(settings: Settings, findings: Finding[]): Promise<Engine | undefined> {
  const check = settings.databaseUrl === undefined ? 'data directory' : 'postgresql';
  try {
    const engine = await openEngine(settings, { mustExist: true });
    const message = check === 'postgresql' ? 'it answers' : `${settings.dataDir} is ours alone`;
    findings.push(finding(check, 'ok', message));
    return engine;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    findings.push(finding(check, 'fail', error.message));
    return undefined;
  }
}

async function examine(engine: Engine, keys: SecretKeys): Promise<Finding[]> {
  const pending = await pendingMigrations(engine.reader);
  const fault = await schemaFault(engine.reader);
  const sentAt = Date.now();
  const inspection = await inspectDatabase(engine.reader);
  const skew = inspection.now - (sentAt + Date.now()) / 2;
  return [
    finding('version', 'ok', inspection.version),
    ...(fault === undefined ? [] : [finding('schema', 'fail', fault)]),
    pending.length === 0
      ? finding('migrations', 'ok', 'all are applied')
      : finding('migrations', 'fail', `${pending.length} are missing. Run tallystick migrate.`),
    ...(engine.kind === 'pglite' ? [EMBEDDED] : checkDurability(inspection)),
    Math.abs(skew) <= SKEW_MS_MAX
      ? finding('clock', 'ok', `${Math.round(Math.abs(skew))} ms from the database's`)
      : finding('clock', 'warn', `${Math.round(skew)} ms behind the database's. Run NTP on both.`),
    ...(pending.length === 0
      ? [
          checkAppendOnly(inspection),
          ...checkDistribution(inspection),
          { check: 'signing secrets', ...(await checkSecrets(engine.reader, keys)) },
        ]
      : []),
  ];
}

const EMBEDDED = finding(
  'durability',
  'warn',
  'embedded data survives a crash of the process, not a power cut. For production set DATABASE_URL.',
);

export function checkDurability(inspection: Inspection): Finding[] {
  const { fsync, synchronousCommit, fullPageWrites } = inspection;
  return [
    fsync === 'on'
      ? finding('fsync', 'ok', 'on')
      : finding('fsync', 'fail', 'off: a power cut can ruin everything. Turn it on.'),
    synchronousCommit === 'off'
      ? finding(
          'synchronous_commit',
          'fail',
          'off: what was acknowledged can be lost in a crash. Set it to on.',
        )
      : finding('synchronous_commit', 'ok', synchronousCommit),
    fullPageWrites === 'on'
      ? finding('full_page_writes', 'ok', 'on')
      : finding(
          'full_page_writes',
          'warn',
          'off: safe only where the disk writes whole pages. Turn it on.',
        ),
  ];
}

export function checkAppendOnly({ unguarded, mayChange, role }: Inspection): Finding {
  if (unguarded.length === 0) {
    return finding('append-only', 'ok', 'triggers refuse to change what was posted');
  }
  if (!mayChange) return finding('append-only', 'ok', `the role ${role} may not change them`);
  return finding(
    'append-only',
    'fail',
    `nothing keeps the role ${role} from changing ${unguarded.join(', ')}: a trigger is gone. Restore it (see sql/), or revoke UPDATE and DELETE from the role.`,
  );
}

/** Nothing where there is no Citus. */
export function checkDistribution({ undistributed }: Pick<Inspection, 'undistributed'>): Finding[] {
  if (undistributed === undefined) return [];
  if (undistributed.length === 0) return [finding('citus', 'ok', 'the tables are distributed')];
  return [
    finding(
      'citus',
      'warn',
      `the database has Citus, and on one machine alone are ${undistributed.join(', ')}. Run tallystick migrate --distribute.`,
    ),
  ];
}

function finding(check: string, status: Finding['status'], message: string): Finding {
  return { check, status, message };
}
