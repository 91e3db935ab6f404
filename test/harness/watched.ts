import { type Db, type Engine, Lane } from '../../src/store/engine/db.js';

/** The same engine, noting the text of every statement that is sent on its lanes. */
export function watched({ onLane, ...rest }: Engine, sent: string[]): Engine {
  const note = (text: string) => void sent.push(text);
  return { ...rest, onLane: (work) => onLane((lane) => work(notedLane(lane, note))) };
}

function noted(db: Db, note: (text: string) => void): Db {
  return {
    query(text, values) {
      note(text);
      return db.query(text, values);
    },
  };
}

function notedLane(lane: Lane, note: (text: string) => void): Lane {
  return new Lane((statements) => {
    for (const { text } of statements) note(text);
    return lane.send(statements);
  });
}

/** The same engine, on which something happens right after the nth statement of its reader. */
export function interrupted(engine: Engine, nth: number, happen: () => Promise<unknown>): Engine {
  const { reader } = engine;
  let sent = 0;
  return {
    ...engine,
    reader: {
      async query(text, values) {
        const result = await reader.query(text, values);
        if (++sent === nth) await happen();
        return result;
      },
    },
    onLane: (work) => engine.onLane(work),
    close: () => engine.close(),
  };
}

/** The first words of each statement. */
export function verbsOf(sent: readonly string[]): string[] {
  return sent.map((text) => text.trim().split(/\s+/).slice(0, 3).join(' '));
}

/** The same engine, noting the text of every statement that is sent on it, whatever by. */
export function recorded(engine: Engine, sent: Set<string>): Engine {
  const note = (text: string) => void sent.add(text);
  const lane = (own: Lane) => notedLane(own, note);
  return {
    ...engine,
    reader: noted(engine.reader, note),
    keys: noted(engine.keys, note),
    worker: noted(engine.worker, note),
    onLane: (work) => engine.onLane((own) => work(lane(own))),
    onWaitingLane: (work) => engine.onWaitingLane((own) => work(lane(own))),
    onSession: (work) => engine.onSession((own) => work(lane(own))),
    close: () => engine.close(),
  };
}
