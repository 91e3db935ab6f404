import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errorsPage } from './errors-page.js';
import { openapi } from './openapi.js';

/**
 * Writes what is generated from the contract; with --check it only says whether what is committed
 * is fresh.
 */

const root = new URL('../../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  version: string;
};
const generated = {
  'openapi.json': `${JSON.stringify(openapi(manifest.version), null, 2)}\n`,
  'docs/errors.md': errorsPage(),
};

for (const [name, fresh] of Object.entries(generated)) {
  const target = new URL(name, root);
  if (!process.argv.includes('--check')) {
    mkdirSync(new URL('.', target), { recursive: true });
    writeFileSync(target, fresh);
  } else if (read(target) !== fresh) {
    process.stderr.write(`${name} is stale: run npm run openapi.\n`);
    process.exitCode = 1;
  }
}

function read(target: URL): string | undefined {
  try {
    return readFileSync(target, 'utf8');
  } catch {
    return undefined;
  }
}
