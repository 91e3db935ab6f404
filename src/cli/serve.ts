import { pino } from 'pino';
import {
  type Engine,
  ensureKey,
  generateKey,
  Ledger,
  listKeys,
  migrate,
  Sweeper,
  within,
} from '../ledger/index.js';
import { createApp, listen } from '../server/index.js';
import { deliverBeside, readDelivery } from './delivery.js';
import { openEngine } from './engine.js';
import { type OutputFlags, print } from './output.js';
import { type Settings, UsageError } from './settings.js';
import { STOP_MS_MAX, Stop } from './stop.js';

/** Runs the server until SIGTERM or SIGINT, and then lets what is in flight finish. */
export async function serve(settings: Settings, flags: OutputFlags): Promise<void> {
  const log = createLog(settings);
  const stop = new Stop(log);
  const delivery = readDelivery(process.env);
  const { guard, secretKeys } = delivery;
  const engine = await stop.waitFor('opening the database', openEngine(settings));
  const ledger = new Ledger(engine, guard, settings.expiringAheadMs, secretKeys);
  let draining = false;
  try {
    await stop.waitFor('migrations', migrate(engine));
    const generated = await ensureFirstKey(engine, settings.apiKey);
    const app = createApp({ ledger, log, isDraining: () => draining });
    const server = await listenOrExplain(app, settings);
    const deliverer = deliverBeside(ledger, delivery, log);
    const sweeper = new Sweeper(ledger, (error) => log.error({ err: error }, 'sweep failed'));
    announce(flags, server.url, engine, generated);
    await stop.asked;
    draining = true;
    log.info('stopping: finishing what is in flight');
    await Promise.all([
      stop.waitFor('requests', server.close()),
      stop.waitFor('webhook deliveries', deliverer?.stop() ?? Promise.resolve()),
      stop.waitFor('the sweep', sweeper.stop()),
    ]);
  } finally {
    // Where a start has failed there was no signal, and its error is to be told all the same.
    await within(STOP_MS_MAX, stop.waitFor('closing the database', ledger.close()), undefined);
    stop.over();
  }
}

/** Logs go to standard error: standard output shows a new key once, which no log may hold. */
function createLog({ logLevel }: Settings) {
  const redact = ['*.headers["x-api-key"]', '*.headers.authorization', 'apiKey', '*.apiKey'];
  return pino({ level: logLevel, redact }, pino.destination(2));
}

/** @returns a key that was generated because there was none at all. */
async function ensureFirstKey(engine: Engine, apiKey: string | undefined) {
  if (apiKey !== undefined) {
    await ensureKey(engine.reader, apiKey, { name: 'TALLYSTICK_API_KEY', scopes: ['*'] });
    return undefined;
  }
  if ((await listKeys(engine.reader)).length > 0) return undefined;
  const key = generateKey('test');
  await ensureKey(engine.reader, key, { name: 'first key', scopes: ['*'] });
  return key;
}

async function listenOrExplain(app: Parameters<typeof listen>[0], settings: Settings) {
  try {
    return await listen(app, settings);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `Cannot listen on ${settings.host}:${settings.port} (${cause}). Set HOST and PORT to a free address.`,
    );
  }
}

function announce(flags: OutputFlags, url: string, engine: Engine, key: string | undefined): void {
  const lines = [
    `Tallystick listens on ${url} (API reference: ${url}/reference)`,
    `Data: ${engine.promise}`,
  ];
  if (key !== undefined) lines.push(`Test API key, shown this once: ${key}`);
  const data = { url, engine: engine.kind, promise: engine.promise, api_key: key ?? null };
  print(flags, data, lines.join('\n'));
}
