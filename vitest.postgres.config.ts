import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import whole from './vitest.config.js';

/** The files of tests that touch PostgreSQL, found by what they say; see `npm run test:postgres`. */
const TOUCHES = /\b(onEngines?|POSTGRES(_BINARIES)?|startCluster)\b/;

const folder = new URL('./test/', import.meta.url);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => TOUCHES.test(readFileSync(new URL(file, folder), 'utf8')));

const { include: _, ...rest } = whole.test!;

export default defineConfig({ test: { ...rest, include: files.map((file) => `test/${file}`) } });
