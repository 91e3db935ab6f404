/** The API reference as one page of HTML, without a script, a font or a request elsewhere. */

interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Record<string, Record<string, Described>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly parameters?: { name: string; in: string; required: boolean; schema: unknown }[];
  readonly requestBody?: { content: { 'application/json': { schema: unknown } } };
  readonly responses: Record<string, { description: string }>;
}

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2024;background:#fff}h2{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem;font-size:1.15rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f5f7;padding:.75rem;overflow:auto;border-radius:6px}
table{border-collapse:collapse}td,th{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top}
.m{display:inline-block;min-width:3.5rem;font-weight:700;color:#0b6e4f}nav a{display:block;padding:.1rem 0}
a{color:#0b57d0}@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8ea}
pre{background:#1f2428}h2{border-color:#333}a{color:#8ab4f8}.m{color:#5fd3a6}}`;

export function referencePage(document: Document): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const links = operations.map(
    ({ path, method, operation }) =>
      `<a href="#${operation.operationId}"><span class="m">${method.toUpperCase()}</span> <code>${escapeHtml(path)}</code></a>`,
  );
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) => `<h2 id="schema-${name}">${name}</h2>${json(schema)}`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${document.info.title} API</title><style>${STYLE}</style>
<h1>${document.info.title} API ${document.info.version}</h1><p>${escapeHtml(document.info.description)}
The machine-readable form is <a href="/openapi.json">openapi.json</a>.</p>
<nav>${links.join('')}</nav>${operations.map(section).join('')}${schemas.join('')}</html>`;
}

function section(item: { path: string; method: string; operation: Described }): string {
  const { path, method, operation } = item;
  const parameters = (operation.parameters ?? []).map(
    ({ name, in: place, required, schema }) =>
      `<tr><td><code>${name}</code></td><td>${place}${required ? ', required' : ''}</td><td><code>${escapeHtml(JSON.stringify(schema))}</code></td></tr>`,
  );
  const body = operation.requestBody?.content['application/json'].schema;
  const answers = Object.entries(operation.responses).map(
    ([status, { description }]) => `<tr><td>${status}</td><td>${escapeHtml(description)}</td></tr>`,
  );
  return `<h2 id="${operation.operationId}"><span class="m">${method.toUpperCase()}</span>
<code>${escapeHtml(path)}</code></h2><p>${escapeHtml(operation.summary)}. ${escapeHtml(operation.description)}</p>
${parameters.length > 0 ? `<table>${parameters.join('')}</table>` : ''}
${body === undefined ? '' : `<p>Body:</p>${json(body)}`}<table>${answers.join('')}</table>`;
}

function json(value: unknown): string {
  return `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
