import { ERROR_TABLE } from '../core/errors.js';

/** Makes docs/errors.md from the table of errors. */
export function errorsPage(): string {
  const rows = ERROR_TABLE.map(
    ({ code, status, type, title }) => `| \`${code}\` | ${status} | \`${type}\` | ${title} |`,
  );
  return `# Errors

Every error of every route has the same shape, and its \`code\` is one of these. They stand in order
of precedence: where two apply to one request, the earlier one is the answer. What answers 503 can
be tried again with the same idempotency key after \`Retry-After\`; nothing is done twice.

| Code | HTTP | Type | What it says |
|---|---|---|---|
${rows.join('\n')}
`;
}
