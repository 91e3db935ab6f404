import type { Engine } from '../../src/store/db.js';

/** The same engine, noting the text of every statement that is sent on its lanes. */
export function watched({ onLane, ...rest }: Engine, sent: string[]): Engine {
  return {
    ...rest,
    onLane: (work) =>
      onLane((lane) =>
        work({
          query: (text, values) => {
            sent.push(text);
            return lane.query(text, values);
          },
          flight: (statements) => {
            sent.push(...statements.map(({ text }) => text));
            return lane.flight(statements);
          },
        }),
      ),
  };
}

/** The first words of each statement. */
export function verbsOf(sent: readonly string[]): string[] {
  return sent.map((text) => text.trim().split(/\s+/).slice(0, 3).join(' '));
}
