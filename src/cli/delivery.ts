import { pino } from 'pino';
import {
  AddressGuard,
  Deliverer,
  type DeliverySettings,
  DeliverySettingsError,
  type Ledger,
  migrate,
  Pace,
  readDeliverySettings,
  type SecretKeys,
  within,
} from '../ledger/index.js';
import { openEngine } from './engine.js';
import { readSecretKeys } from './secrets.js';
import { type Settings, UsageError } from './settings.js';
import { STOP_MS_MAX, Stop } from './stop.js';

/** Webhook delivery, inside the server and alone. */

export interface Delivery {
  readonly settings: DeliverySettings;
  readonly guard: AddressGuard;
  readonly secretKeys: SecretKeys;
  /** False where deliveries are left to `tallystick deliver`. */
  readonly inServer: boolean;
}

/** @throws {UsageError} naming the first setting that cannot be used. */
export function readDelivery(env: NodeJS.ProcessEnv): Delivery {
  const worker = env.TALLYSTICK_WEBHOOK_WORKER || 'on';
  if (worker !== 'on' && worker !== 'off') {
    throw new UsageError(`TALLYSTICK_WEBHOOK_WORKER must be on or off, not "${worker}".`);
  }
  const secretKeys = readSecretKeys(env);
  try {
    const settings = readDeliverySettings(env);
    const guard = new AddressGuard(settings.allow);
    return { settings, guard, secretKeys, inServer: worker === 'on' };
  } catch (error) {
    if (error instanceof DeliverySettingsError) throw new UsageError(error.message);
    throw error;
  }
}

/** Delivers beside a ledger, which comes first. @returns undefined where it is switched off. */
export function deliverBeside(
  ledger: Ledger,
  { inServer, ...parts }: Delivery,
  log: ConstructorParameters<typeof Deliverer>[1]['log'],
): Deliverer | undefined {
  if (!inServer) return undefined;
  const pace = new Pace(() => ledger.commands);
  const counts = ledger.webhooks.attempts;
  const deliverer = new Deliverer(ledger.engine, { ...parts, log, pace, counts });
  ledger.onEvents(() => deliverer.ring());
  deliverer.start();
  return deliverer;
}

/** Runs deliveries alone until SIGTERM or SIGINT, and then lets attempts in flight end. */
export async function deliver(settings: Settings): Promise<void> {
  const log = pino({ level: settings.logLevel });
  const stop = new Stop(log);
  const delivery = readDelivery(process.env);
  const engine = await stop.waitFor('opening the database', openEngine(settings));
  try {
    await stop.waitFor('migrations', migrate(engine));
    const deliverer = new Deliverer(engine, { ...delivery, log });
    deliverer.start();
    process.stdout.write(`Tallystick delivers webhooks. Data: ${engine.promise}\n`);
    await stop.asked;
    await stop.waitFor('webhook deliveries', deliverer.stop());
  } finally {
    await within(STOP_MS_MAX, stop.waitFor('closing the database', engine.close()), undefined);
    stop.over();
  }
}
