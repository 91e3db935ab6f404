import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPglite } from '../../src/pglite/pglite.js';
import { makePrivate } from '../../src/pglite/private.js';
import { SetupError } from '../../src/store/schema/migrate.js';
import { until } from '../harness/until.js';

/** An embedded directory is its owner's alone, whatever the umask and whoever made it. */

let parent: string;
let directory: string;

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'tallystick-private-'));
  directory = join(parent, 'data');
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

const modeOf = (path: string) => lstatSync(path).mode & 0o777;

function everything(path: string): string[] {
  if (!lstatSync(path).isDirectory()) return [path];
  return [path, ...readdirSync(path).flatMap((name) => everything(join(path, name)))];
}

/** What others can do anything with; the engine has a thousand files. */
function open(path: string): string[] {
  const all = everything(path);
  expect(all.length).toBeGreaterThan(500);
  return all.filter((each) => (modeOf(each) & 0o077) !== 0);
}

async function work(): Promise<void> {
  const engine = await openPglite(directory);
  await engine.reader.query('create table if not exists notes (note text)');
  await engine.reader.query("insert into notes select 'a' from generate_series(1, 1000)");
  await engine.reader.query('vacuum full notes');
  await engine.reader.query('checkpoint');
  expect(open(directory), 'while it runs').toEqual([]);
  expect(modeOf(`${directory}.lock`)).toBe(0o600);
  await engine.close();
  expect(open(directory), 'after it').toEqual([]);
}

test('a directory is private from its first moment, and so is what is made in it', async () => {
  const opening = openPglite(directory);
  await until('the draft is begun', () => existsSync(`${directory}.new`));
  expect(modeOf(`${directory}.new`)).toBe(0o700);
  await (await opening).close();
  await work();
});

test('one that was open to others is private after a start, and its data are there', async () => {
  for (const path of everything(directory)) {
    chmodSync(path, lstatSync(path).isDirectory() ? 0o755 : 0o666);
  }
  expect(open(directory).length).toBeGreaterThan(500);
  await work();
  const engine = await openPglite(directory);
  const { rows } = await engine.reader.query('select count(*)::int as count from notes');
  expect(rows).toEqual([{ count: 2000 }]);
  await engine.close();
});

test('what a link in it leads to is left alone', () => {
  const outside = join(parent, 'outside');
  writeFileSync(outside, '');
  chmodSync(outside, 0o644);
  symlinkSync(outside, join(directory, 'link'));
  makePrivate(directory);
  expect(modeOf(outside)).toBe(0o644);
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)('one that belongs to another user is refused with what to do', () => {
  chmodSync(parent, 0o755);
  chmodSync(directory, 0o755);
  const nobody = 65_534;
  process.seteuid!(nobody);
  try {
    expect(() => makePrivate(directory)).toThrow(SetupError);
    expect(() => makePrivate(directory)).toThrow(/belongs to user 0 .*chown -R/);
  } finally {
    process.seteuid!(0);
  }
});
