import { type Answer, Api as Client } from '../harness/api.js';

/** The API as a plain HTTP caller sees it, and a load of writes whose every answer is kept. */

const ROOT = '/v1/customer-credits';

/** The client of all tests, by paths: what a process answers is no matter of one operation. */
export class Api {
  readonly #client: Client;

  constructor(url: string, key: string) {
    this.#client = new Client(url, key);
  }

  get(path: string): Promise<Answer> {
    return this.#client.send('GET', ROOT + path);
  }

  post(path: string, body?: unknown): Promise<Answer> {
    return this.#client.send('POST', ROOT + path, { body });
  }

  /** Opens an account with a balance, and returns its id. */
  async open(name: string, balance = '0'): Promise<string> {
    const fields = { customer_id: 'cust_1', name, initial_balance: balance };
    const { status, body } = await this.post('/accounts', fields);
    if (status !== 201) throw new Error(`Opening answered ${status}.`);
    return body.id;
  }

  async balance(account: string): Promise<string> {
    return (await this.get(`/accounts/${account}/balance`)).body.balance;
  }
}

/** A key as a caller would set it. */
export const KEY = 'tally_test_end_to_end_0123456789';

/** The transactions of a reference; where the server asks for it, asked once more, and again. */
async function found(api: Api, reference: string): Promise<{ id: string }[]> {
  for (let tries = 0; ; tries++) {
    const { status, body } = await api.get(`/transactions?reference=${reference}`);
    if (status === 200) return body.data;
    if (status !== 503 || tries === 100) throw new Error(`Reading ${reference}: ${status}.`);
  }
}

interface Write {
  readonly account: string;
  readonly side: 'credit' | 'debit';
  readonly amount: number;
  readonly key: string;
  /** The transaction that an answer named. */
  transaction?: string;
}

const WRITERS = 16;

/**
 * Writers that never stop, each with one request at a time. A write that was not acknowledged is
 * kept, to be sent again with its key.
 */
export class Load {
  readonly writes: Write[] = [];
  /** Answers that no caller may ever see, in words. */
  readonly wrong: string[] = [];
  readonly #accounts: readonly string[];
  readonly #random: (below: number) => number;
  #isRunning = false;
  #running: Promise<void>[] = [];

  constructor(accounts: readonly string[], random: (below: number) => number) {
    this.#accounts = accounts;
    this.#random = random;
  }

  get acknowledged(): number {
    return this.writes.filter(({ transaction }) => transaction !== undefined).length;
  }

  /** @returns what resolves once these writers have ended. */
  start(api: Api, options: { untilRefused: boolean }): Promise<unknown> {
    this.#isRunning = true;
    this.#running = Array.from({ length: WRITERS }, async () => {
      while (this.#isRunning) {
        const write = this.#next();
        this.writes.push(write);
        const isAnswered = await this.#send(api, write);
        if (!isAnswered && options.untilRefused) return;
      }
    });
    return Promise.all(this.#running);
  }

  /** Resolves once no request is in flight. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#running);
  }

  /** Sends again, with its key, everything that was not acknowledged. */
  async retry(api: Api): Promise<void> {
    for (const write of this.writes) {
      for (let tries = 0; write.transaction === undefined; tries++) {
        if (tries === 100) throw new Error(`${write.key} was never acknowledged.`);
        await this.#send(api, write);
      }
    }
  }

  /** @returns the writes that are not there exactly once, under the id that was acknowledged. */
  async missing(api: Api): Promise<string[]> {
    const faults: string[] = [];
    const check = async ({ key, transaction }: Write) => {
      const ids: string[] = (await found(api, key)).map(({ id }) => id);
      if (ids.length !== 1 || ids[0] !== transaction) {
        faults.push(`${key} was ${transaction} and is ${ids.join(' and ')}`);
      }
    };
    for (let i = 0; i < this.writes.length; i += WRITERS) {
      await Promise.all(this.writes.slice(i, i + WRITERS).map(check));
    }
    return faults;
  }

  /** What an account that began with `start` must hold. */
  expected(account: string, start: number): string {
    const moves = this.writes.filter((write) => write.account === account);
    const sum = moves.reduce(
      (total, { side, amount }) => total + (side === 'credit' ? amount : -amount),
      start,
    );
    return String(sum);
  }

  #next(): Write {
    return {
      account: this.#accounts[this.#random(this.#accounts.length)]!,
      side: this.#random(3) === 0 ? 'credit' : 'debit',
      amount: 1 + this.#random(9),
      key: `write-${this.writes.length}`,
    };
  }

  /** @returns false where nobody answered. */
  async #send(api: Api, write: Write): Promise<boolean> {
    const { account, side, amount, key } = write;
    const body = { amount: String(amount), reference: key, idempotency_key: key };
    const answer = await api.post(`/accounts/${account}/${side}`, body).catch(() => undefined);
    if (answer === undefined) return false;
    if (answer.status === 201) this.#acknowledge(write, answer.body.id);
    else if (answer.status !== 503 || answer.headers.get('retry-after') === null) {
      this.wrong.push(`${key}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return true;
  }

  #acknowledge(write: Write, transaction: string): void {
    if (write.transaction !== undefined && write.transaction !== transaction) {
      this.wrong.push(`${write.key}: ${write.transaction} and then ${transaction}`);
    }
    write.transaction = transaction;
  }
}
