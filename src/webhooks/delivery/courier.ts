import { setMaxListeners } from 'node:events';
import type { Uuid } from '../../core/id.js';
import { timeOf } from '../../core/id.js';
import { type Endpoint, readEndpoint } from '../../store/webhooks/endpoints.js';
import {
  type Attempted,
  type DueEvent,
  readDue,
  readFresh,
  settleDue,
  settleFresh,
} from '../../store/webhooks/outbox.js';
import { EndpointHealth } from '../endpoint-health.js';
import { SecretError, type SigningSecrets } from '../secrets.js';
import { signedHeaders } from '../signature.js';
import { attempt } from './attempt.js';
import { attemptedOf, isGone } from './attempted.js';
import { Connections } from './connections.js';
import type { CourierParts } from './courier-parts.js';
import { CourierQueue } from './courier-queue.js';
import { Lease } from './lease.js';
import { PACE_WINDOW_MS, PACED_ATTEMPTS } from './pace.js';

/** The shortest time between two visits to the database: what ends meanwhile is settled as one. */
const VISIT_GAP_MS = 25;
const VISIT_GAP_BUSY_MS = 250;
const VISIT_GAP_FAILED_MS = 200;
/** How often an idle endpoint is looked at again before its lease is given back. */
const LINGER_MS = [100, 200, 400];
const FETCH_MAX = 500;
/** How many attempts an endpoint that only fails gets in a window: ten a second. */
const STRUGGLING_ATTEMPTS = 1;
/** How often it is asked whether an earlier failure is due again. */
const DUE_GAP_MS = 100;
/** How long attempts in flight may take once this is stopped; what is left is for noting them. */
const ATTEMPT_GRACE_MS = 7_000;

/** Delivers to one endpoint for as long as it holds the endpoint's lease and there is work. */
export class Courier {
  readonly #parts: CourierParts;
  readonly #queue = new CourierQueue();
  readonly #connections = new Connections();
  readonly #health: EndpointHealth;
  readonly #stopping = new AbortController();
  readonly #lease: Lease;
  #endpoint: Endpoint;
  #secrets: SigningSecrets | undefined;
  #inFlight = 0;
  #results: { event: DueEvent; result: Attempted }[] = [];
  #gone = false;
  #stopped = false;
  #lookedForDueAt = Number.NEGATIVE_INFINITY;
  #windowStart = 0;
  #windowAttempts = 0;
  #notify: () => void = () => {};
  #rung = true;

  private constructor(parts: CourierParts, lease: Lease, endpoint: Endpoint) {
    this.#parts = parts;
    this.#lease = lease;
    this.#health = new EndpointHealth(parts.db, parts.log);
    // Every attempt in flight listens to it, so that many listeners are no leak.
    setMaxListeners(0, this.#stopping.signal);
    this.#endpoint = endpoint;
    this.#adopt(endpoint);
  }

  /** @returns undefined where another server delivers to this endpoint. */
  static async hire(
    parts: CourierParts,
    work: { storeId: Uuid; id: Uuid },
  ): Promise<Courier | undefined> {
    const { db, owner, settings } = parts;
    const taken = await Lease.take({ db, owner, timeout: settings.timeout }, work);
    return taken && new Courier(parts, taken.lease, taken.endpoint);
  }

  /** Whether its endpoint's secrets can be read; without them nothing can be sent. */
  get canSign(): boolean {
    return this.#secrets !== undefined;
  }

  /** Says that there may be something new. */
  ring(): void {
    this.#rung = true;
    this.#notify();
  }

  /** Starts nothing more; what is in flight may end, and is cut short after a while. */
  stop(): void {
    this.#stopped = true;
    this.#notify();
    setTimeout(() => this.#stopping.abort(), ATTEMPT_GRACE_MS).unref();
  }

  /** Resolves once it has no work left, was stopped or lost the lease. */
  async run(): Promise<void> {
    try {
      await this.#work();
    } finally {
      this.#stopped = true;
      // Attempts that outlive a lost lease are at most repeated by the next holder.
      if (this.#inFlight === 0) await this.#lease.giveBack();
    }
  }

  async #work(): Promise<void> {
    let idle = 0;
    while (idle <= LINGER_MS.length) {
      try {
        if (!(await this.#holds())) return;
        await this.#settle();
        if (this.#isDone()) return;
        const found = this.#wantsMore() && (await this.#fetch());
        this.#start();
        idle = found || this.#inFlight > 0 || this.#queue.known > 0 ? 0 : idle + 1;
      } catch (error) {
        // While the lease lasts nobody else repeats what has been sent, so it can be noted later.
        if (this.#lease.isOver) throw error;
        await gap(VISIT_GAP_FAILED_MS);
      }
      await this.#rest(idle === 0 ? this.#restMs() : (LINGER_MS[idle - 1] ?? 0));
      await gap(this.#parts.pace.busy ? VISIT_GAP_BUSY_MS : VISIT_GAP_MS);
    }
  }

  /** Renews the lease in good time; false where it is lost. */
  async #holds(): Promise<boolean> {
    if (!this.#lease.isAging) return true;
    const endpoint = await this.#lease.renew();
    if (endpoint === undefined) return false;
    this.#adopt(endpoint);
    return true;
  }

  /** Goes on with the endpoint as it is now. Where it is disabled, what is in flight may end. */
  #adopt(endpoint: Endpoint | undefined): void {
    if (endpoint?.status !== 'enabled') {
      this.#stopped = true;
      return;
    }
    this.#endpoint = endpoint;
    try {
      this.#secrets = this.#parts.secretKeys.openAll(endpoint);
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      this.#secrets = undefined;
      this.#stopped = true;
      const fields = { endpoint: endpoint.id, reason: error.message };
      this.#parts.log.warn(fields, 'webhook deliveries wait, for the secret cannot be read');
    }
  }

  #isDone(): boolean {
    return (this.#stopped || this.#gone) && this.#inFlight === 0 && this.#results.length === 0;
  }

  #wantsMore(): boolean {
    const { concurrency } = this.#parts.settings;
    return !this.#stopped && !this.#gone && this.#queue.waiting < concurrency * 2;
  }

  /** @returns whether there was anything new. */
  async #fetch(): Promise<boolean> {
    this.#rung = false;
    const { db, settings } = this.#parts;
    const { storeId, id } = this.#endpoint;
    // What is known already comes again until it is settled, so there must be room beyond it.
    const limit = Math.min(this.#queue.known + settings.concurrency * 4, FETCH_MAX);
    const now = performance.now();
    const looksForDue = now - this.#lookedForDueAt >= DUE_GAP_MS;
    if (looksForDue) this.#lookedForDueAt = now;
    const [fresh, due] = await Promise.all([
      readFresh(db, storeId, id, limit),
      looksForDue ? readDue(db, storeId, id, limit) : [],
    ]);
    const first = settings.schedule[0]!;
    const ripe = first === 0 ? fresh : fresh.filter((event) => isRipe(event, first));
    const added = this.#queue.add(due) + this.#queue.add(ripe);
    if (added > 0) await this.#refresh();
    return added > 0;
  }

  /** Reads the endpoint after its events, so that a change made before them is not missed. */
  async #refresh(): Promise<void> {
    const { storeId, id } = this.#endpoint;
    this.#adopt(await readEndpoint(this.#parts.db, storeId, id));
  }

  /** Starts as many attempts as there is room for, while the lease outlasts them for sure. */
  #start(): void {
    const { settings } = this.#parts;
    const secrets = this.#secrets;
    if (secrets === undefined) return;
    while (!this.#stopped && !this.#gone && this.#inFlight < settings.concurrency) {
      if (!this.#lease.outlastsAttempt || this.#isPaced()) return;
      const event = this.#queue.take();
      if (event === undefined) return;
      this.#windowAttempts++;
      this.#inFlight++;
      void this.#attempt(event, secrets);
    }
  }

  #isPaced(): boolean {
    const now = performance.now();
    if (now - this.#windowStart >= PACE_WINDOW_MS) {
      this.#windowStart = now;
      this.#windowAttempts = 0;
    }
    if (this.#health.struggles) return this.#windowAttempts >= STRUGGLING_ATTEMPTS;
    return this.#windowAttempts >= PACED_ATTEMPTS && this.#parts.pace.busy;
  }

  async #attempt(event: DueEvent, secrets: SigningSecrets): Promise<void> {
    const { guard, settings } = this.#parts;
    const { url, signature } = this.#endpoint;
    const answered = await attempt(guard, this.#connections, {
      url,
      body: event.body,
      headerSets: signedHeaders({ ...secrets, signature }, event, Date.now()),
      timeout: settings.timeout,
      signal: this.#stopping.signal,
    });
    this.#inFlight--;
    this.#queue.attempted(event);
    // An attempt that was cut short by the end of this process is nobody's failure.
    if (!this.#stopping.signal.aborted) {
      const { schedule } = settings;
      const result = attemptedOf(event, answered, schedule, this.#parts.random());
      this.#results.push({ event, result });
      this.#parts.counts[result.status === 'delivered' ? 'success' : 'failure']++;
      if (isGone(result)) this.#gone = true;
    }
    this.#start();
    this.#notify();
  }

  async #settle(): Promise<void> {
    // A copy, for attempts go on ending while these are written.
    const results = [...this.#results];
    if (results.length === 0) return;
    const { db } = this.#parts;
    const { storeId, id } = this.#endpoint;
    const fresh = results.filter(({ event }) => event.tries === 0);
    const later = results.filter(({ event }) => event.tries > 0);
    if (fresh.length > 0) await settleFresh(db, storeId, id, fresh.map(resultIn));
    if (later.length > 0) await settleDue(db, storeId, id, later.map(resultIn));
    this.#results = this.#results.slice(results.length);
    for (const { event } of results) this.#queue.settled(event.eventId);
    if (this.#gone) await this.#health.disable(this.#endpoint);
    this.#endpoint = await this.#health.note(this.#endpoint, results.map(resultIn));
  }

  #restMs(): number {
    if (this.#results.length > 0) return 0;
    if (this.#queue.waiting > 0 && this.#inFlight === 0) return VISIT_GAP_MS;
    return Math.min(this.#parts.settings.timeout / 4, 250);
  }

  /** Waits until an attempt ended or something was rung for, or for some milliseconds. */
  async #rest(milliseconds: number): Promise<void> {
    const isNews = this.#results.length > 0 || (this.#rung && this.#wantsMore());
    if (milliseconds === 0 || isNews) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#notify = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#notify = () => {};
  }
}

function isRipe({ eventId }: DueEvent, wait: number): boolean {
  return timeOf(eventId) + wait <= Date.now();
}

function resultIn({ result }: { result: Attempted }): Attempted {
  return result;
}

function gap(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
