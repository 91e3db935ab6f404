import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { ERROR_TABLE } from '../src/core/errors.js';

/** The rules of the house, which no linter here knows. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILES_OF_FOLDER = 15;
const LINES_OF_FILE = 300;
const LINES_OF_FUNCTION = 60;
const COLUMNS = 100;

const git = ['ls-files', '--cached', '--others', '--exclude-standard'];
const FILES = execFileSync('git', git, { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(ROOT, file)));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const SOURCES = FILES.filter((file) => /^src\/.*\.ts$/.test(file)).map((file) => {
  const text = read(file);
  return { file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true) };
});

/** What each folder may import: folders of src, and packages. Node's own modules are free. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  core: [],
  store: ['core', 'pg'],
  webhooks: ['core', 'store'],
  access: ['core', 'store'],
  proof: ['core', 'store'],
  move: ['core', 'store'],
  ledger: ['core', 'store', 'webhooks', 'access', 'proof', 'move'],
  contract: ['core', 'zod'],
  server: ['core', 'contract', 'ledger', 'zod', 'hono', 'prom-client'],
  pglite: ['store', '@electric-sql/pglite'],
  cli: ['ledger', 'server', 'pglite', 'commander', 'pino'],
};

function importsOf({ tree }: (typeof SOURCES)[number]): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const from = node.moduleSpecifier;
      if (from !== undefined && ts.isStringLiteral(from)) found.push(from.text);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [from] = node.arguments;
      if (from !== undefined && ts.isStringLiteral(from)) found.push(from.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** The folder of src, or the package, that an import leads to. */
function targetOf(file: string, from: string): string {
  if (from.startsWith('.')) return posix.join(dirname(file), from).split('/')[1]!;
  const parts = from.split('/');
  return from.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
}

test('each folder imports only what it may', () => {
  const wrong = SOURCES.flatMap((source) => {
    const folder = source.file.split('/')[1]!;
    const allowed = [folder, ...(MAY_IMPORT[folder] ?? [])];
    return importsOf(source)
      .filter((from) => !from.startsWith('node:'))
      .filter((from) => !allowed.includes(targetOf(source.file, from)))
      .map((from) => `${source.file} imports ${from}`);
  });
  expect(wrong).toEqual([]);
});

test('ARCHITECTURE.md says of each folder what it may import', () => {
  const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `src\/(\w+)\/` \|.*\| (.*) \|$/gm)];
  const said = rows.map(([, folder, list]) => [folder, list!.split(', ').filter((p) => p !== '—')]);
  expect(Object.fromEntries(said)).toEqual(MAY_IMPORT);
});

test('what a comment cites of the contract is in docs/contract.md', () => {
  const contract = read('docs/contract.md');
  const sections = [...contract.matchAll(/^##+ (\d(?:\.\d+)?)\.? /gm)].map(([, number]) => number!);
  const questions = [...contract.matchAll(/^\| (Q\d+) \|/gm)].map(([, number]) => number!);
  const known = new Set([...sections, ...questions]);
  const cited = FILES.filter((file) => /^(src|test)\/.*\.ts$/.test(file)).flatMap((file) => {
    const text = read(file).replaceAll(/\n\s*(\/\/|\*) ?/g, ' ');
    const places = text.matchAll(/contract (?:sections? )?(\d(?:\.\d+)?)(?: and (\d\.\d+))?/g);
    const named = [...places].flatMap(([, first, second]) => [first!, second ?? first!]);
    const asked = [...text.matchAll(/\bQ\d{1,2}\b/g)].map(([question]) => question);
    return [...named, ...asked].map((place) => ({ file, place }));
  });
  expect(cited.length).toBeGreaterThan(30);
  expect(cited.filter(({ place }) => !known.has(place))).toEqual([]);
});

test('core and ledger know no field of the wire', () => {
  const named = read('openapi.json').matchAll(/"([a-z]+(?:_[a-z]+)+)": \{|"name": "(\w+_\w+)"/g);
  const fields = new Set([...named].map(([, property, parameter]) => property ?? parameter!));
  expect([...fields]).toEqual(expect.arrayContaining(['account_id', 'starting_after']));
  // The reference and the key of a seed are stored, and for ever what they are.
  fields.delete('initial_balance');
  const rooms = SOURCES.filter(({ file }) =>
    /^src\/(core|ledger|webhooks|access|proof)\//.test(file),
  );
  const found = rooms
    // Events are built where they happen, in the words in which they are told.
    .filter(({ file }) => file !== 'src/core/events/payloads.ts')
    .flatMap(({ file, tree }) => {
      const words: string[] = [];
      const visit = (node: ts.Node): void => {
        const isText = ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node);
        if (isText) words.push(...(node.text.match(/[a-z]+(?:_[a-z]+)+/g) ?? []));
        ts.forEachChild(node, visit);
      };
      visit(tree);
      return words.filter((word) => fields.has(word)).map((word) => `${file} names ${word}`);
    });
  expect(found).toEqual([]);
});

test('that there is no such thing in a store is said in one place', () => {
  const said = SOURCES.filter(({ text }) => /There is no such (?!route)/.test(text));
  expect(said.map(({ file }) => file)).toEqual(['src/core/errors.ts']);
});

test('a folder holds few files', () => {
  const counts = new Map<string, number>();
  for (const { file } of SOURCES) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  }
  const full = [...counts].filter(([, count]) => count > FILES_OF_FOLDER);
  expect(full).toEqual([]);
});

test('files and functions are short', () => {
  const long: string[] = [];
  for (const { file, text, tree } of SOURCES) {
    const lines = text.trimEnd().split('\n').length;
    if (lines > LINES_OF_FILE) long.push(`${file} has ${lines} lines`);
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
        const start = tree.getLineAndCharacterOfPosition(node.getStart()).line;
        const end = tree.getLineAndCharacterOfPosition(node.end).line;
        const length = end - start + 1;
        if (length > LINES_OF_FUNCTION) long.push(`${file}:${start + 1} has ${length} lines`);
      }
      ts.forEachChild(node, visit);
    };
    visit(tree);
  }
  expect(long).toEqual([]);
});

test('lines are short, but for text that cannot be broken', () => {
  const long: string[] = [];
  for (const { file, text, tree } of SOURCES) {
    const spans: [number, number][] = [];
    const visit = (node: ts.Node): void => {
      const literal = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
      if (literal || ts.isRegularExpressionLiteral(node)) spans.push([node.getStart(), node.end]);
      ts.forEachChild(node, visit);
    };
    visit(tree);
    let offset = 0;
    for (const [index, line] of text.split('\n').entries()) {
      const column = offset + COLUMNS;
      const inText = spans.some(([start, end]) => start < column && column <= end);
      if (line.length > COLUMNS && !inText) long.push(`${file}:${index + 1}`);
      offset += line.length + 1;
    }
  }
  expect(long).toEqual([]);
});

test('only what is at home in store/ says where a transaction begins and ends', () => {
  const said = SOURCES.filter(({ file }) => !file.startsWith('src/store/')).flatMap((source) => {
    const found: string[] = [];
    const visit = (node: ts.Node): void => {
      const text = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) ? node.text : '';
      if (/^\s*(begin|commit|rollback|savepoint)\b/i.test(text))
        found.push(`${source.file}: ${text}`);
      ts.forEachChild(node, visit);
    };
    visit(source.tree);
    return found;
  });
  expect(said).toEqual([]);
});

test('any is at home in the database port alone', () => {
  const found = SOURCES.filter(({ file }) => file !== 'src/store/engine/db.ts').flatMap(
    (source) => {
      const uses: string[] = [];
      const visit = (node: ts.Node): void => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) uses.push(source.file);
        ts.forEachChild(node, visit);
      };
      visit(source.tree);
      return uses;
    },
  );
  expect(found).toEqual([]);
});

test('no file is named for nothing in particular', () => {
  const vague = /^(utils?|helpers?|common|managers?|services?|misc|shared)$/i;
  const named = FILES.filter((file) => {
    return [...dirname(file).split('/'), basename(file).split('.')[0]!].some((p) => vague.test(p));
  });
  expect(named).toEqual([]);
});

describe('the text of the repository', () => {
  const TEXT = /\.(ts|tsx|js|mjs|json|md|sql|sh|yml|html|css)$|^\.ci\//;
  const THIS = 'test/house.test.ts';
  const texts = FILES.filter((file) => TEXT.test(file) && file !== THIS && !/lock/.test(file));

  test('promises nothing for later', () => {
    const fillers = /\b(TODO|FIXME|XXX|HACK)\b/;
    expect(texts.filter((file) => fillers.test(read(file)))).toEqual([]);
  });

  test('names no path of a machine that it was made on', () => {
    const machine = [ROOT.replace(/\/$/, ''), homedir(), '/root/', '/home/'];
    const found = texts.flatMap((file) => {
      const text = read(file);
      return machine.filter((path) => path.length > 4 && text.includes(path)).map((p) => [file, p]);
    });
    expect(found).toEqual([]);
  });
});

test('docs/errors.md lists exactly the table of errors, in its order', () => {
  const rows = [
    ...read('docs/errors.md').matchAll(/^\| `(\w+)` \| (\d+) \| `(\w+)` \| (.+) \|$/gm),
  ];
  expect(rows.map(([, code, status, type, title]) => [code, Number(status), type, title])).toEqual(
    ERROR_TABLE.map(({ code, status, type, title }) => [code, status, type, title]),
  );
});
