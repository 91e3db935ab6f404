import type { Uuid } from '../../core/id.js';
import type { Engine } from '../../store/engine/db.js';
import { newId } from '../../store/ids.js';
import { findWork } from '../../store/webhooks/leases.js';
import type { DeliverySettings } from '../delivery-settings.js';
import type { DeliveryLog } from '../endpoint-health.js';
import { SecretKeys } from '../secrets.js';
import { within } from '../within.js';
import { AddressGuard } from './address.js';
import type { AttemptCounts } from './attempted.js';
import { Courier } from './courier.js';
import type { CourierParts } from './courier-parts.js';
import { Pace } from './pace.js';
import { sweepDeliveries } from './retention.js';

export interface DelivererOptions {
  readonly settings: DeliverySettings;
  readonly log: DeliveryLog;
  readonly guard?: AddressGuard;
  /** Given where a ledger works in the same process, which deliveries must give way to. */
  readonly pace?: Pace;
  /** Where somebody reads them. */
  readonly counts?: AttemptCounts;
  readonly random?: () => number;
  /** Those that open the endpoints' secrets; without any, only plain ones are read. */
  readonly secretKeys?: SecretKeys;
}

/** How often the database is asked for work that nobody here was told of. */
const POLL_MS_MIN = 500;
const POLL_MS_MAX = 2_000;
/** The shortest time between two such questions, however often movements ring. */
const LOOK_GAP_MS = 50;
const LOOK_GAP_BUSY_MS = 250;
const SWEEP_MS_MAX = 10 * 60 * 1000;
/** How long an endpoint is left alone whose secret cannot be read, in milliseconds. */
const UNREADABLE_MS = 60_000;
/** How long a stop takes at most, in milliseconds, whatever does not end. */
export const STOP_GRACE_MS = 8_000;

/**
 * Delivers events to webhook endpoints. Any number of these may work on one database, in servers
 * or alone: each endpoint is delivered to by the one that holds its lease, so that a slow or
 * dead endpoint holds up no other. It uses readers of its own, never a lane of the ledger.
 */
export class Deliverer {
  readonly #engine: Engine;
  readonly #parts: CourierParts;
  readonly #couriers = new Map<Uuid, { courier: Courier; done: Promise<void> }>();
  /** When endpoints are looked at again whose secrets could not be read, by `performance.now`. */
  readonly #unreadable = new Map<Uuid, number>();
  #running: Promise<unknown> | undefined;
  #stopped = false;
  #rung = false;
  #notify: () => void = () => {};

  constructor(engine: Engine, options: DelivererOptions) {
    this.#engine = engine;
    this.#parts = {
      db: engine.worker,
      settings: options.settings,
      guard: options.guard ?? new AddressGuard(options.settings.allow),
      pace: options.pace ?? new Pace(),
      owner: newId(),
      log: options.log,
      counts: options.counts ?? { success: 0, failure: 0 },
      random: options.random ?? Math.random,
      secretKeys: options.secretKeys ?? new SecretKeys(),
    };
  }

  start(): void {
    this.#running ??= Promise.all([this.#look(), this.#sweep()]);
  }

  /** Says that events have been committed. */
  ring(): void {
    for (const { courier } of this.#couriers.values()) courier.ring();
    this.#wake();
  }

  /**
   * Starts nothing more, lets attempts in flight end and gives leases back. It resolves within
   * `STOP_GRACE_MS` even where the database does not answer: leases run out by themselves, and
   * what was not noted is sent again.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { courier } of this.#couriers.values()) courier.stop();
    this.#wake();
    if (
      await within(
        STOP_GRACE_MS,
        this.#end().then(() => true),
        false,
      )
    )
      return;
    const endpoints = [...this.#couriers.keys()];
    this.#parts.log.warn({ endpoints }, 'stopped before all webhook deliveries had ended');
  }

  async #end(): Promise<void> {
    await this.#running;
    await Promise.all([...this.#couriers.values()].map(({ done }) => done));
  }

  async #look(): Promise<void> {
    let wait = POLL_MS_MIN;
    while (!this.#stopped) {
      try {
        const found = await this.#hire();
        wait = found ? POLL_MS_MIN : Math.min(wait * 1.5, POLL_MS_MAX);
      } catch (error) {
        this.#parts.log.warn({ err: error }, 'cannot look for webhook deliveries');
      }
      await this.#pause(this.#parts.pace.busy ? LOOK_GAP_BUSY_MS : LOOK_GAP_MS);
      if (!this.#rung) await this.#rest(wait);
      this.#rung = false;
    }
  }

  async #hire(): Promise<boolean> {
    const work = await findWork(this.#engine.worker);
    for (const place of work) {
      if (this.#stopped || this.#couriers.has(place.id)) continue;
      if ((this.#unreadable.get(place.id) ?? 0) > performance.now()) continue;
      const courier = await Courier.hire(this.#parts, place);
      if (courier !== undefined) this.#employ(place.id, courier);
    }
    return work.length > 0;
  }

  #employ(id: Uuid, courier: Courier): void {
    const done = courier
      .run()
      .catch((error: unknown) => {
        this.#parts.log.warn({ endpoint: id, err: error }, 'webhook delivery was interrupted');
      })
      .then(() => {
        this.#couriers.delete(id);
        if (courier.canSign) this.#unreadable.delete(id);
        else this.#unreadable.set(id, performance.now() + UNREADABLE_MS);
        // What was committed between its last look and the end of its lease rang in vain.
        this.#wake();
      });
    this.#couriers.set(id, { courier, done });
    if (this.#stopped) courier.stop();
  }

  async #sweep(): Promise<void> {
    const { settings, log } = this.#parts;
    const every = Math.min(settings.retention / 10, SWEEP_MS_MAX);
    while (!this.#stopped) {
      await this.#pause(every);
      if (this.#stopped) return;
      try {
        await sweepDeliveries(this.#engine.worker, settings.retention, () => this.#stopped);
      } catch (error) {
        log.warn({ err: error }, 'cannot remove old webhook deliveries');
      }
    }
  }

  readonly #sleepers = new Set<() => void>();

  #wake(): void {
    this.#rung = true;
    this.#notify();
    if (this.#stopped) for (const wake of this.#sleepers) wake();
  }

  /** Waits until something rings, or for some milliseconds. */
  async #rest(milliseconds: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#notify = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#notify = () => {};
  }

  /** Waits for some milliseconds, unless this is stopped. */
  async #pause(milliseconds: number): Promise<void> {
    if (this.#stopped) return;
    let wake = () => {};
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#sleepers.add(wake);
    });
    this.#sleepers.delete(wake);
  }
}
