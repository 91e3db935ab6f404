import type { QueryConfig } from 'pg';

const names = new Map<string, string>();

/** Statements are few and constant, so each is prepared once on each connection, under a name. */
export function prepared(text: string, values: unknown[] | undefined): QueryConfig {
  if (values === undefined) return { text };
  let name = names.get(text);
  if (name === undefined) {
    name = `tallystick_${names.size}`;
    names.set(text, name);
  }
  return { name, text, values };
}
