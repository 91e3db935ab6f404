import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CREDIT_OPERATIONS } from '../harness/api.js';
import { PGLITE, type TestDatabase } from '../harness/engines.js';
import { startServer, type TestServer } from '../harness/server.js';

/** The MCP server that ships in the official SDK, over stdio, as an agent would use it. */

const PROGRAM = fileURLToPath(import.meta.resolve('creem/package.json')).replace(
  /package\.json$/,
  'bin/mcp-server.js',
);

interface Tool {
  readonly name: string;
}
interface Called {
  readonly isError?: boolean;
  readonly content: { text: string }[];
}

class Mcp {
  readonly #child;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #last = 0;

  constructor(url: string, key: string) {
    const args = ['start', '--api-key', key, '--server-url', url, '--log-level', 'error'];
    this.#child = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line);
      this.#waiting.get(id)?.(result ?? error);
    });
  }

  send(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#last;
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async start(): Promise<void> {
    const clientInfo = { name: 'tallystick', version: '0' };
    await this.send('initialize', { protocolVersion: '2024-11-05', capabilities: {}, clientInfo });
    const note = { jsonrpc: '2.0', method: 'notifications/initialized' };
    this.#child.stdin.write(`${JSON.stringify(note)}\n`);
  }

  async tool(name: string, args: object): Promise<Called> {
    const params = { name: `customer-credits-${name}`, arguments: args };
    return (await this.send('tools/call', params)) as Called;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill();
    await gone;
  }
}

let database: TestDatabase;
let server: TestServer;
let mcp: Mcp;

beforeAll(async () => {
  database = await PGLITE.create();
  server = await startServer(database.engine);
  mcp = new Mcp(server.url, server.key);
  await mcp.start();
});
afterAll(async () => {
  await mcp.stop();
  await server.close();
  await database.drop();
});

const answer = async (name: string, args: object) => {
  const { isError, content } = await mcp.tool(name, args);
  expect(isError ?? false, content[0]?.text).toBe(false);
  return JSON.parse(content[0]!.text);
};

test('there is a tool for every operation', async () => {
  const { tools } = (await mcp.send('tools/list')) as { tools: Tool[] };
  const names = new Set(tools.map(({ name }) => name));
  for (const operation of CREDIT_OPERATIONS) {
    const kebab = operation.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    expect(names.has(`customer-credits-${kebab}`), kebab).toBe(true);
  }
});

test('an agent opens an account, credits it, debits it and reads the balance', async () => {
  const { id } = await answer('create-account', { request: { customer_id: 'cust_mcp' } });
  const movement = (amount: string, idempotency_key: string) => ({
    id,
    creditDebitRequestDto: { amount, reference: 'agent', idempotency_key },
  });
  const credit = await answer('credit-account', movement('100', 'mcp_1'));
  expect(credit.entries).toMatchObject([{ side: 'credit', amount: '100' }]);
  await answer('debit-account', movement('30', 'mcp_2'));
  expect(await answer('get-account-balance', { id })).toMatchObject({ balance: '70' });
  const refused = await mcp.tool('debit-account', movement('71', 'mcp_3'));
  expect(refused.isError).toBe(true);
  expect(refused.content[0]!.text).toContain('insufficient');
});
