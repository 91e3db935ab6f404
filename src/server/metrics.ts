import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Ledger, within } from '../ledger/index.js';

// From a tenth of a millisecond, for reads from memory, to the statement time-out.
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];

const OLDEST_TIMEOUT_MS = 2_000;

/** What Prometheus reads at /metrics. Label sets are closed: no ids, no customers. */
export class Metrics {
  readonly registry = new Registry();
  readonly #duration: Histogram<'operation'>;
  readonly #answers: Counter<'operation' | 'status'>;
  readonly #replays: Counter;
  // Looking a labelled child up costs more than counting does, so children are kept.
  readonly #counters = new Map<string, { inc(): void }>();
  readonly #histograms = new Map<string, { observe(seconds: number): void }>();

  constructor(ledger: Ledger) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#duration = new Histogram({
      name: 'tallystick_request_seconds',
      help: 'Time from the request to its answer.',
      labelNames: ['operation'],
      buckets: SECONDS,
      registers,
    });
    this.#answers = new Counter({
      name: 'tallystick_answers_total',
      help: 'Answers by operation and HTTP status.',
      labelNames: ['operation', 'status'],
      registers,
    });
    this.#replays = new Counter({
      name: 'tallystick_replays_total',
      help: 'Writes that were answered with an earlier result for the same key.',
      registers,
    });
    new Gauge({
      name: 'tallystick_commands_waiting',
      help: 'Commands that wait for the next batch.',
      registers,
      collect() {
        this.set(ledger.waiting);
      },
    });
    new Gauge({
      name: 'tallystick_writes_unanswered',
      help: 'Writes whose callers wait for an answer, in a batch or for one.',
      registers,
      collect() {
        this.set(ledger.unanswered);
      },
    });
    addWebhookMetrics(this.registry, ledger);
  }

  answered(operation: string, status: number, seconds: number): void {
    const slot = `${operation} ${status}`;
    let counter = this.#counters.get(slot);
    if (counter === undefined) {
      counter = this.#answers.labels(operation, String(status));
      this.#counters.set(slot, counter);
    }
    counter.inc();
    let histogram = this.#histograms.get(operation);
    if (histogram === undefined) {
      histogram = this.#duration.labels(operation);
      this.#histograms.set(operation, histogram);
    }
    histogram.observe(seconds);
  }

  replayed(): void {
    this.#replays.inc();
  }
}

function addWebhookMetrics(registry: Registry, { webhooks }: Ledger): void {
  new Counter({
    name: 'tallystick_webhook_attempts_total',
    help: 'Webhook attempts of this process by outcome.',
    labelNames: ['outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const outcome of ['success', 'failure'] as const) {
        this.inc({ outcome }, webhooks.attempts[outcome]);
      }
    },
  });
  new Gauge({
    name: 'tallystick_webhook_oldest_pending_seconds',
    help: 'Age of the oldest event that waits for its first attempt; NaN if the database is away.',
    registers: [registry],
    async collect() {
      const asked = webhooks.oldestPending().then(
        (milliseconds) => milliseconds / 1000,
        () => Number.NaN,
      );
      this.set(await within(OLDEST_TIMEOUT_MS, asked, Number.NaN));
    },
  });
}
