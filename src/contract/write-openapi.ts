import { readFileSync, writeFileSync } from 'node:fs';
import { openapi } from './openapi.js';

/** Writes openapi.json; with --check it only says whether the committed one is fresh. */

const target = new URL('../../openapi.json', import.meta.url);
const manifest = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };
const fresh = `${JSON.stringify(openapi(manifest.version), null, 2)}\n`;

if (!process.argv.includes('--check')) {
  writeFileSync(target, fresh);
} else if (readFileSync(target, 'utf8') !== fresh) {
  process.stderr.write('openapi.json is stale: run npm run openapi.\n');
  process.exit(1);
}
