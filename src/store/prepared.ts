import type { QueryConfig } from 'pg';

const names = new Map<string, string>();

/**
 * Statements are few and constant, so each is prepared once on each connection, under a name.
 *
 * @param pooled where a connection may change sessions, which know no names of one another.
 */
export function prepared(
  text: string,
  values: unknown[] | undefined,
  pooled: boolean,
): QueryConfig {
  if (values === undefined) return { text };
  if (pooled) return { text, values };
  let name = names.get(text);
  if (name === undefined) {
    name = `tallystick_${names.size}`;
    names.set(text, name);
  }
  return { name, text, values };
}
