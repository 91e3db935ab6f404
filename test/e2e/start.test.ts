import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../harness/cluster.js';
import { Api, KEY } from './api.js';
import { type Ended, embeddedDirectory, run, startServer, temporaryDirectory } from './harness.js';

/** Every start that cannot go on says why in one line, and changes nothing. */

function expectOneLine({ code, stdout, stderr }: Ended, exit: number, line: RegExp): void {
  expect(stderr).toMatch(line);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stdout).toBe('');
  expect(code).toBe(exit);
}

/** The name and content of every file below a directory. */
function contentsOf(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    files
      .filter((file) => statSync(join(directory, file)).isFile())
      .map((file) => [file, readFileSync(join(directory, file), 'latin1')]),
  );
}

describe('an embedded data directory', () => {
  test('serves one process at a time, and outlives one that was killed', async () => {
    const directory = embeddedDirectory();
    const settings = { TALLYSTICK_DATA_DIR: directory, TALLYSTICK_API_KEY: KEY };
    const first = await startServer(settings);
    const account = await new Api(first.url, KEY).open('kept', '7');

    const inUse = new RegExp(`in use by process ${first.pid}\\b`);
    expectOneLine(await run(['serve', '--port', '0'], settings), 3, inUse);
    for (const command of [['verify'], ['keys', 'list']]) {
      const refused = await run(command, settings);
      expectOneLine(refused, 3, inUse);
      expect(refused.stderr).toContain('use PostgreSQL');
    }
    expect(await new Api(first.url, KEY).balance(account)).toBe('7');

    await first.kill('SIGKILL');
    expect(existsSync(`${directory}.lock`)).toBe(true);
    const second = await startServer(settings);
    expect(await new Api(second.url, KEY).balance(account)).toBe('7');
    expect((await second.kill('SIGTERM')).code).toBe(0);
    expect(existsSync(`${directory}.lock`)).toBe(false);
  });

  // Only Linux tells when a process started.
  test.skipIf(!existsSync('/proc/self/stat'))(
    'is taken over from a dead process whose id is in use again',
    async () => {
      const directory = embeddedDirectory();
      writeFileSync(`${directory}.lock`, `${process.pid} 1\n`);
      const { code } = await run(['migrate'], { TALLYSTICK_DATA_DIR: directory });
      expect(code).toBe(0);
    },
  );

  test('of another PostgreSQL major is refused and left alone', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'global'));
    writeFileSync(join(directory, 'global', 'pg_control'), 'control');
    writeFileSync(join(directory, 'PG_VERSION'), '17\n');
    const before = contentsOf(directory);
    const ended = await run(['serve', '--port', '0'], { TALLYSTICK_DATA_DIR: directory });
    expectOneLine(ended, 3, /of PostgreSQL 17, and this tallystick embeds 18/);
    expect(contentsOf(directory)).toEqual(before);
  });

  test.each([
    ['without a version', { 'postgresql.conf': 'port = 1' }],
    ['with a version alone', { PG_VERSION: '18\n' }],
    ['of something else', { 'photo.jpg': 'not data' }],
  ])('%s is refused and left alone', async (_name, files) => {
    const directory = temporaryDirectory();
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const before = contentsOf(directory);
    const ended = await run(['serve', '--port', '0'], { TALLYSTICK_DATA_DIR: directory });
    expectOneLine(ended, 3, /half-created/);
    expect(contentsOf(directory)).toEqual(before);
  });

  test('that is damaged is refused and left alone', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'global'));
    writeFileSync(join(directory, 'global', 'pg_control'), 'damaged');
    writeFileSync(join(directory, 'PG_VERSION'), '18\n');
    const ended = await run(['serve', '--port', '0'], { TALLYSTICK_DATA_DIR: directory });
    expectOneLine(ended, 3, /cannot be opened/);
    expect(readFileSync(join(directory, 'global', 'pg_control'), 'utf8')).toBe('damaged');
  });

  test('that a killed first start has begun is begun again', async () => {
    const directory = join(temporaryDirectory(), 'data');
    mkdirSync(`${directory}.new`);
    writeFileSync(join(`${directory}.new`, 'PG_VERSION'), '18\n');
    const { code } = await run(['migrate'], { TALLYSTICK_DATA_DIR: directory });
    expect(code).toBe(0);
    expect(existsSync(`${directory}.new`)).toBe(false);
  });
});

/** Speaks just enough of the protocol to say that it is of a given version. */
async function fakePostgres(version: string, number: number): Promise<Server> {
  const message = (type: string, body: Buffer) => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const ready = message('Z', Buffer.from('I'));
  const done = message('C', Buffer.from('SELECT 1\0'));
  const field = (name: string, oid: number) => {
    const rest = Buffer.alloc(18);
    rest.writeInt32BE(oid, 6);
    return Buffer.concat([Buffer.from(`${name}\0`), rest]);
  };
  const value = (text: string) => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const two = Buffer.from([0, 2]);
  const columns = message('T', Buffer.concat([two, field('number', 23), field('text', 25)]));
  const row = message('D', Buffer.concat([two, value(String(number)), value(version)]));
  const answer = (socket: Socket, data: Buffer) => {
    if (data[0] === 0) socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]));
    else if (data.includes('server_version')) {
      socket.write(Buffer.concat([columns, row, done, ready]));
    } else if (data[0] === 0x58) socket.end();
    else socket.write(Buffer.concat([done, ready]));
  };
  const server = createServer((socket) => socket.on('data', (data) => answer(socket, data)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('a PostgreSQL', () => {
  test('that cannot be reached is told without its password', async () => {
    const url = `postgres://me:secret-word@127.0.0.1:${await freePort()}/db`;
    const ended = await run(['serve', '--port', '0'], { DATABASE_URL: url });
    expectOneLine(ended, 3, /cannot be used: .*ECONNREFUSED.*Check the URL/);
    expect(ended.stderr).not.toContain('secret-word');
  });

  test('that is too old is refused', async () => {
    const server = await fakePostgres('14.19', 140019);
    const { port } = server.address() as { port: number };
    const url = `postgres://me@127.0.0.1:${port}/db`;
    const ended = await run(['serve', '--port', '0'], { DATABASE_URL: url });
    server.close();
    expectOneLine(ended, 3, /PostgreSQL 14.19 is too old: tallystick needs 15 or later/);
  });
});

describe('a setting', () => {
  test.each([
    ['PORT', 'x', /PORT must be a number from 0 to 65535, not "x"/],
    ['LOG_LEVEL', 'loud', /LOG_LEVEL must be one of/],
    ['TALLYSTICK_POOLER', 'on', /must be transaction, prepared or session, not "on"/],
    ['DATABASE_URL', 'mysql://user:secret-word@h/db', /DATABASE_URL must begin with postgres/],
    ['TALLYSTICK_API_KEY', 'sk_live_0123456789abcdef', /begins with tally_test_/],
    ['TALLYSTICK_API_KEY', 'tally_test_x', /20 to 200 visible ASCII/],
    ['HOST', '192.0.2.1', /Cannot listen on 192.0.2.1:0 .*Set HOST and PORT/],
  ])('%s=%s stops the start', async (name, value, line) => {
    const directory = join(temporaryDirectory(), 'data');
    const settings = { PORT: '0', TALLYSTICK_DATA_DIR: directory, [name]: value };
    const ended = await run(['serve'], settings);
    expectOneLine(ended, 2, line);
    expect(ended.stderr).not.toContain('secret-word');
    expect(ended.stderr).not.toContain('sk_live_0123456789abcdef');
  });
});
