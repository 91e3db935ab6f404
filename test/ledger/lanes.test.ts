import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine, Lane } from '../../src/store/engine/db.js';
import { probeWrite } from '../../src/store/engine/probe.js';
import { onEngine, POSTGRES, type TestDatabase } from '../harness/engines.js';

/** In which state a lane is lent to the next after work that failed, and how it is probed. */

onEngine(POSTGRES, ({ create }) => {
  let database: TestDatabase;
  let engine: Engine;

  beforeAll(async () => {
    database = await create({ lanes: 1 });
    ({ engine } = database);
  });
  afterAll(() => database.drop());

  const pid = async (lane: Lane) =>
    (await lane.query('select pg_backend_pid() as pid')).rows[0].pid as number;

  /** Begins a transaction that changes something, and fails within it. @returns the session. */
  async function failWith(error: Error): Promise<number> {
    let session = 0;
    const work = engine.onLane(async (lane) => {
      session = await pid(lane);
      await lane.query('begin');
      await lane.query("set local application_name = 'unfinished'");
      throw error;
    });
    await expect(work).rejects.toBe(error);
    return session;
  }

  test('the same connection, and nothing is left of its transaction', async () => {
    const session = await failWith(new Error('It failed.'));
    await engine.onLane(async (lane) => {
      expect(await pid(lane)).toBe(session);
      const { rows } = await lane.query('show application_name');
      expect(rows).toEqual([{ application_name: 'tallystick' }]);
    });
  });

  test('a probe of whether it can be written to writes', async () => {
    const written = async (lane: Lane) =>
      (await lane.query('select pg_current_wal_insert_lsn() as at')).rows[0].at;
    await engine.onLane(async (lane) => {
      const before = await written(lane);
      await probeWrite(lane);
      expect(await written(lane)).not.toBe(before);
    });
  });

  test('another connection where that one is thought lost', async () => {
    const session = await failWith(Object.assign(new Error('It went away.'), { code: '57P01' }));
    expect(await engine.onLane(pid)).not.toBe(session);
  });
});
