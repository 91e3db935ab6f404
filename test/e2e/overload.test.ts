import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../harness/until.js';
import { Api, KEY } from './api.js';
import { Blocker } from './blocker.js';
import { Cluster, POSTGRES_BINARIES, run, type ServerProcess, startServer } from './harness.js';

/**
 * Far more requests than the queue holds, while the database stands still: what does not fit is
 * refused at once, what fits is answered once it can be or refused in time, and memory stays
 * bounded.
 */

const SOCKETS = 1_000;
/** As many as are worked on at a time; more would wait for these, and none would be refused. */
const REQUESTS_PER_SOCKET = 8;
const REQUESTS = SOCKETS * REQUESTS_PER_SOCKET;
/** A store's share of the queue, and the batches of both lanes. */
const TAKEN_MAX = 4_000 + 2 * 500;
/**
 * Resident memory of the server: 6,000 requests that wait take some 90 MB beside its 100, and
 * what they leave behind stays for up to two rounds. Eight rounds were no higher than three.
 */
const RSS_BYTES_MAX = 512 * 2 ** 20;

/** Sends requests one behind the other, and counts the statuses that come back. */
function pipeline(url: URL, requests: readonly string[], onStatus: (status: string) => void) {
  return new Promise<void>((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname, () => socket.write(requests.join('')));
    let answered = 0;
    let rest = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      rest += text;
      for (const [, status] of rest.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
        onStatus(status!);
        answered++;
      }
      // Only a head that is not whole yet is looked at again.
      rest = rest.slice(Math.max(rest.length - 12, rest.lastIndexOf('HTTP/1.1 ') + 13));
      if (answered === requests.length) socket.end();
    });
    socket.once('close', () => resolve());
    socket.once('error', reject);
  });
}

describe.skipIf(POSTGRES_BINARIES === undefined)('an overloaded server', () => {
  let cluster: Cluster;
  let url: string;
  let server: ServerProcess;
  let api: Api;

  beforeAll(async () => {
    cluster = await Cluster.start();
    url = await cluster.database();
    server = await startServer({ DATABASE_URL: url, TALLYSTICK_API_KEY: KEY });
    api = new Api(server.url, KEY);
  });

  afterAll(async () => {
    await server.kill('SIGKILL');
    await cluster.stop();
  });

  async function residentBytes(): Promise<number> {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (\d+)$/m.exec(metrics)?.[1]);
  }

  async function flood(account: string, round: number): Promise<Map<string, number>> {
    const statuses = new Map<string, number>();
    const address = new URL(server.url);
    const request = (key: string) => {
      const body = JSON.stringify({ amount: '1', reference: 'r', idempotency_key: key });
      return `POST /v1/customer-credits/accounts/${account}/credit HTTP/1.1\r\nhost: ${address.host}\r\nx-api-key: ${KEY}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    };
    const sockets = Array.from({ length: SOCKETS }, (_, socket) => {
      const requests = Array.from({ length: REQUESTS_PER_SOCKET }, (__, i) =>
        request(`flood ${round} ${socket} ${i}`),
      );
      return pipeline(address, requests, (status) => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      });
    });
    await Promise.all(sockets);
    return statuses;
  }

  async function countOf(status: string): Promise<number> {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const line = `^tallystick_answers_total\\{operation="creditAccount",status="${status}"\\} (\\d+)$`;
    return Number(new RegExp(line, 'm').exec(metrics)?.[1] ?? 0);
  }

  test('refuses what its queue does not hold, stays small, and serves on', async () => {
    const account = await api.open('flooded');
    let taken = 0;
    for (let round = 0; round < 3; round++) {
      const blocker = await Blocker.start(url);
      const refusedBefore = await countOf('503');
      const answers = flood(account, round);
      await until('the rest is refused', async () => {
        return (await countOf('503')) - refusedBefore >= REQUESTS - TAKEN_MAX;
      });
      expect(await residentBytes()).toBeLessThan(RSS_BYTES_MAX);
      await blocker.end();
      const statuses = await answers;
      // On a busy machine what fits may have waited for so long that it was refused as well.
      const [carriedOut = 0, refused = 0] = ['201', '503'].map((status) => statuses.get(status));
      expect(carriedOut + refused).toBe(REQUESTS);
      taken += carriedOut;
    }
    expect(await residentBytes()).toBeLessThan(RSS_BYTES_MAX);
    // What was in flight when its caller was refused may have been carried out.
    expect(Number(await api.balance(account))).toBeGreaterThanOrEqual(taken);
    const move = { amount: '1', reference: 'r', idempotency_key: 'afterwards' };
    expect((await api.post(`/accounts/${account}/debit`, move)).status).toBe(201);
    expect((await run(['verify'], { DATABASE_URL: url })).code).toBe(0);
  });
});
