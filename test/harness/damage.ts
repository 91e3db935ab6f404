import { type Engine, Lane } from '../../src/store/db.js';

/** An engine whose work all happens in one transaction, with the damage done in it, and undone. */
export function damaged(engine: Engine, statements: readonly string[]): Engine {
  return {
    ...engine,
    onSession: (work) =>
      engine.onSession(async (lane) => {
        await lane.query('begin');
        // Distributed tables have none, and Citus refuses even to drop what is not there.
        const { rows } = await lane.query(
          "select 1 from pg_trigger where tgname = 'drawdowns_append_only'",
        );
        if (rows.length > 0) {
          await lane.query('drop trigger drawdowns_append_only on tallystick.drawdowns');
        }
        await lane.query('alter table tallystick.grants drop constraint grants_held');
        for (const statement of statements) await lane.query(statement);
        const result = await work(
          new Lane((sent) => lane.send(sent.filter(({ text }) => !/^(begin|commit)/.test(text)))),
        );
        await lane.query('rollback');
        return result;
      }),
  };
}
