import { type Engine, Lane } from '../../src/store/engine/db.js';

/** An engine whose work all happens in one transaction, with the damage done in it, and undone. */
export function damaged(engine: Engine, statements: readonly string[]): Engine {
  return {
    ...engine,
    onSession: (work) =>
      engine.onSession(async (lane) => {
        await lane.query('begin');
        // Triggers rest. Where there is Citus, they do so on every machine that it asks; on others
        // the name means nothing.
        await lane.query("set local citus.propagate_set_commands = 'local'");
        await lane.query('set local session_replication_role = replica');
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
