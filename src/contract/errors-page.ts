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

What cannot be read as HTTP is a \`validation_error\` or a \`request_timeout\` before any route is
known, and a server that is full answers \`overloaded\` before it looks at a request.

| Code | HTTP | Type | What it says |
|---|---|---|---|
${rows.join('\n')}
`;
}
