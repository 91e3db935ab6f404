import { expect, test } from 'vitest';
import { call, KEY } from '../webhooks/harness.js';
import { embeddedDirectory, run, startServer } from './harness.js';

/** Signing secrets at rest, as an operator meets them. */

const A = Buffer.alloc(32, 0xa).toString('base64');
const B = Buffer.alloc(32, 0xb).toString('hex');

test('from plain text to a key, to another one, and back, beside servers that start anew', async () => {
  const TALLYSTICK_DATA_DIR = embeddedDirectory();
  const env = { TALLYSTICK_DATA_DIR, TALLYSTICK_API_KEY: KEY };
  let secret = '';
  let id = '';
  const served = async (keys: Record<string, string>) => {
    const server = await startServer({ ...env, ...keys });
    if (id === '') {
      const { body } = await call(server.url, 'POST', '/v1/webhooks', { delivery_mode: 'cli' });
      id = body.id;
      secret = body.secret as string;
    }
    const answer = await call(server.url, 'GET', `/v1/webhooks/${id}/secret`);
    await server.kill('SIGTERM');
    return answer;
  };
  const doctor = async (keys: Record<string, string>) => {
    const { stdout, code } = await run(['doctor', '--json'], { ...env, ...keys });
    const { checks } = JSON.parse(stdout) as { checks: { check: string; message: string }[] };
    return { code, ...checks.find(({ check }) => check === 'signing secrets')! };
  };
  expect((await served({})).body.secret).toBe(secret);
  expect(await doctor({})).toMatchObject({
    code: 0,
    status: 'warn',
    message: expect.stringMatching(/plain text/),
  });

  const first = { TALLYSTICK_SECRET_KEY: A };
  expect((await run(['secrets', 'rotate'], { ...env, ...first })).stdout).toMatch(/^1 webhooks/);
  expect(await doctor(first)).toMatchObject({
    status: 'ok',
    message: expect.stringMatching(/are encrypted under key/),
  });
  expect((await served(first)).body.secret).toBe(secret);

  const second = { TALLYSTICK_SECRET_KEY: B, TALLYSTICK_SECRET_KEY_PREVIOUS: A };
  expect((await served(second)).body.secret).toBe(secret);
  expect(await doctor(second)).toMatchObject({
    status: 'warn',
    message: expect.stringMatching(/under another key/),
  });
  expect((await run(['secrets', 'rotate'], { ...env, ...second })).code).toBe(0);
  expect(await served({ TALLYSTICK_SECRET_KEY: B })).toMatchObject({
    status: 200,
    body: { secret },
  });

  const lost = await served(first);
  expect(lost).toMatchObject({ status: 503, body: { error: { code: 'secret_unreadable' } } });
  expect(await doctor({})).toMatchObject({
    code: 1,
    status: 'fail',
    message: expect.stringMatching(/none is set/),
  });
  const wrong = await run(['secrets', 'rotate'], { ...env, ...first });
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toMatch(/^wh_\w+: The secret is sealed under key .*\n.*could not be read/);

  const back = { TALLYSTICK_SECRET_KEY_PREVIOUS: B };
  expect((await run(['secrets', 'decrypt'], { ...env, ...back })).code).toBe(0);
  expect((await served({})).body.secret).toBe(secret);
});

test.each([
  [['serve', '--port', '0'], { TALLYSTICK_SECRET_KEY: 'hunter2hunter2' }],
  [['deliver'], { TALLYSTICK_SECRET_KEY_PREVIOUS: 'hunter2hunter2' }],
  [['doctor'], { TALLYSTICK_SECRET_KEY: `${A}hunter2` }],
  [['secrets', 'rotate'], {}],
  [['secrets', 'rotate'], { TALLYSTICK_SECRET_KEY_PREVIOUS: A }],
  [['secrets', 'decrypt'], {}],
])('%j with %j is refused in one line', async (values, settings) => {
  const TALLYSTICK_DATA_DIR = '/nonexistent/data';
  const { code, stderr } = await run(values, { TALLYSTICK_DATA_DIR, ...settings });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^tallystick: .*TALLYSTICK_SECRET_KEY.*\n$/);
  expect(stderr).not.toContain('hunter2');
});
