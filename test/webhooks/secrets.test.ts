import { createHmac, randomBytes, webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatId } from '../../src/core/id.js';
import {
  AddressGuard,
  Deliverer,
  type Engine,
  ensureKey,
  inspectSecrets,
  Ledger,
  resealSecrets,
} from '../../src/ledger/index.js';
import {
  isSealed,
  parseSecretKey,
  SecretError,
  SecretKeys,
  type SecretPlace,
  sealSecret,
  secretKeyId,
} from '../../src/webhooks/secrets.js';
import { openMemory } from '../harness/pglite.js';
import { until } from '../harness/until.js';
import { call, type Running, settingsOf, startReceiver, startServer } from './harness.js';

/** Signing secrets: who sees them, and how they stand in the database. */

const [A, B] = [Buffer.alloc(32, 0xa), Buffer.alloc(32, 0xb)];
const PLACE: SecretPlace = {
  storeId: '01890a5d-ac96-774b-bcce-b302099a8057',
  endpointId: '01890a5d-ac96-774b-bcce-b302099a8058',
  part: 'current',
};

describe('the sealed form', () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  const secret = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
  const sealed =
    'sealed:v1:d3b23e3c:AAECAwQFBgcICQoL:MGqlfqa6g1rIAtb84K86CuCfxGWfNxs9CCih_Vw7RdpMReiu9plV2h_FOJX_42BQ1mTwBhIUv1HKpVXId6sarNvQ';

  test('is for ever', async () => {
    expect(secretKeyId(key)).toBe('d3b23e3c');
    const nonce = Buffer.from('000102030405060708090a0b', 'hex');
    expect(sealSecret(key, secret, PLACE, nonce)).toBe(sealed);
    expect(new SecretKeys(key).open(sealed, PLACE)).toBe(secret);
    // Another implementation of the cipher reads it too.
    const [, , , , text] = sealed.split(':');
    const { subtle } = webcrypto;
    const bound = `sealed:v1:d3b23e3c:${PLACE.storeId}:${PLACE.endpointId}:current`;
    const opened = await subtle.decrypt(
      { name: 'AES-GCM', iv: nonce, additionalData: Buffer.from(bound) },
      await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']),
      Buffer.from(text!, 'base64url'),
    );
    expect(Buffer.from(opened).toString()).toBe(secret);
  });

  test('opens in its place alone, under its key alone, and unaltered', () => {
    const keys = new SecretKeys(key);
    for (const place of [
      { ...PLACE, storeId: PLACE.endpointId },
      { ...PLACE, endpointId: PLACE.storeId },
      { ...PLACE, part: 'previous' as const },
    ]) {
      expect(() => keys.open(sealed, place)).toThrow(/altered, or moved/);
    }
    for (let at = 'sealed:v1:'.length; at < sealed.length; at++) {
      const other = sealed[at] === 'A' ? 'w' : 'A';
      const altered = sealed.slice(0, at) + other + sealed.slice(at + 1);
      expect(() => keys.open(altered, PLACE), `at ${at}`).toThrow(SecretError);
    }
    for (const cut of [
      sealed.slice(0, -1),
      'sealed:v1:d3b23e3c',
      'sealed:',
      'sealed:v2:d3b23e3c:a:b',
    ]) {
      expect(() => keys.open(cut, PLACE), cut).toThrow(SecretError);
    }
    expect(() => new SecretKeys(A).open(sealed, PLACE)).toThrow(/under key d3b23e3c, and set are/);
    expect(() => new SecretKeys().open(sealed, PLACE)).toThrow(/none is set/);
    expect(new SecretKeys(A, key).open(sealed, PLACE)).toBe(secret);
  });

  test('has a nonce of its own each time, and plain text goes on being read', () => {
    const keys = new SecretKeys(key);
    const all = Array.from({ length: 100 }, () => keys.seal(secret, PLACE).split(':')[3]);
    expect(new Set(all).size).toBe(100);
    expect(keys.open(secret, PLACE)).toBe(secret);
    expect(new SecretKeys().seal(secret, PLACE)).toBe(secret);
  });

  test.each([
    [A.toString('base64'), true],
    [A.toString('base64').replace('=', ''), true],
    [randomBytes(32).toString('base64url'), true],
    [A.toString('hex'), true],
    [A.toString('hex').toUpperCase(), true],
    [Buffer.alloc(31, 1).toString('base64'), false],
    [Buffer.alloc(33, 1).toString('base64'), false],
    [Buffer.alloc(24, 1).toString('hex'), false],
    [`${A.toString('hex')}0`, false],
    [` ${A.toString('base64')}`, false],
    [A.toString('base64').replace('C', '!'), false],
    ['correct horse battery staple', false],
  ])('%s as a key: %s', (text, isKey) => {
    expect(parseSecretKey(text) !== undefined).toBe(isKey);
  });
});

describe('a server', () => {
  let engine: Engine;
  let server: Running;
  const READER = 'tally_test_webhook_reader_0001';

  beforeAll(async () => {
    engine = await openMemory();
    server = await startServer(engine);
    await ensureKey(engine.reader, READER, { name: 'reads', scopes: ['webhooks:read'] });
  });
  afterAll(() => server.close());

  const api = (method: string, path: string, body?: object) => call(server.url, method, path, body);
  const ledgerWith = (...keys: Buffer[]) =>
    new Ledger(engine, new AddressGuard(settingsOf().allow), undefined, new SecretKeys(...keys));
  const subscribe = (ledger: Ledger, url?: string) =>
    ledger.webhooks.create(server.store, {
      name: null,
      url,
      deliveryMode: url === undefined ? 'cli' : 'http',
      events: [],
      signature: 'creem',
    });

  test('shows a secret to nobody who may only read', async () => {
    const { body: webhook } = await api('POST', '/v1/webhooks', { delivery_mode: 'cli' });
    const { secret, id } = webhook as { secret: string; id: string };
    const read = (path: string) => call(server.url, 'GET', path, undefined, READER);
    const refused = await read(`/v1/webhooks/${id}/secret`);
    expect(refused).toMatchObject({ status: 403, body: { error: { code: 'insufficient_scope' } } });
    await api('POST', `/v1/webhooks/${id}/test`);
    await api('POST', `/v1/webhooks/${id}/secret/rotate`);
    for (const path of ['', `/${id}`, `/${id}/deliveries`, `/${id}/events/pending`]) {
      const answer = await read(`/v1/webhooks${path}`);
      expect(answer.status).toBe(200);
      expect(JSON.stringify(answer.body)).not.toMatch(/whsec_|sealed:/);
      expect(JSON.stringify(answer.body)).not.toContain(secret);
    }
    await api('DELETE', `/v1/webhooks/${id}`);
  });

  test('without the key refuses clearly, and deliveries wait for one that has it', async () => {
    const receiver = await startReceiver();
    const ledger = ledgerWith(A);
    const http = await subscribe(ledger, receiver.url);
    const cli = await subscribe(ledger);
    const { rows } = await engine.reader.query('select secret from tallystick.webhook_endpoints');
    expect(rows.every(({ secret }) => isSealed(secret))).toBe(true);
    const [httpId, cliId] = [http, cli].map(({ endpoint }) => formatId('webhook', endpoint.id));
    const unreadable = { status: 503, body: { error: { code: 'secret_unreadable' } } };
    expect(await api('GET', `/v1/webhooks/${httpId}/secret`)).toMatchObject(unreadable);
    expect(await api('POST', `/v1/webhooks/${httpId}/secret/rotate`)).toMatchObject(unreadable);
    expect(await api('GET', `/v1/webhooks/${cliId}/events/pending`)).toMatchObject(unreadable);
    expect((await api('GET', `/v1/webhooks/${httpId}`)).status).toBe(200);
    const warned: [Record<string, unknown>, string][] = [];
    const log = {
      warn: (fields: object, message: string) => void warned.push([{ ...fields }, message]),
    };
    const settings = settingsOf();
    let looks = 0;
    const counting = {
      query(text: string, values?: unknown[]) {
        if (/from tallystick.webhook_endpoints e\b/.test(text)) looks++;
        return engine.worker.query(text, values);
      },
    };
    const blind = new Deliverer({ ...engine, worker: counting }, { settings, log });
    blind.start();
    expect((await api('POST', `/v1/webhooks/${httpId}/test`)).status).toBe(200);
    await until('the log says so', () => warned.length > 0);
    expect(warned[0]).toEqual([
      { endpoint: http.endpoint.id, reason: expect.stringContaining(secretKeyId(A)) },
      expect.stringContaining('wait'),
    ]);
    const warnedAt = looks;
    await until('it has looked again', () => {
      blind.ring();
      return looks > warnedAt + 3;
    });
    await blind.stop();
    expect(warned, 'once a minute').toHaveLength(1);
    const list = await api('GET', `/v1/webhooks/${httpId}/deliveries`);
    expect(list.body.data).toMatchObject([{ status: 'pending', attempts: [] }]);
    expect(receiver.got).toHaveLength(0);
    const seeing = new Deliverer(engine, { settings, log, secretKeys: new SecretKeys(B, A) });
    seeing.start();
    await until('it comes', () => receiver.got.length === 1);
    const [{ text, headers }] = receiver.got as [(typeof receiver.got)[number]];
    const signature = createHmac('sha256', http.secret).update(text).digest('hex');
    expect(headers['creem-signature']).toBe(signature);
    await seeing.stop();
    // Whoever lost the key begins anew.
    const anew = await api('POST', `/v1/webhooks/${httpId}/secret/rotate`, { overlap_seconds: 0 });
    expect(anew.status).toBe(200);
    expect((await api('GET', `/v1/webhooks/${httpId}/secret`)).body.secret).toBe(anew.body.secret);
    for (const id of [httpId, cliId]) await api('DELETE', `/v1/webhooks/${id}`);
    await receiver.close();
  });

  test('a rotation seals both secrets in their places', async () => {
    const ledger = ledgerWith(A);
    const { endpoint, secret } = await subscribe(ledger);
    const { store } = server;
    const rotated = await ledger.webhooks.rotate(store, endpoint.id, 60);
    expect(rotated.secret).not.toBe(secret);
    const { storedSecret, storedPreviousSecret } = await ledger.webhooks.get(store, endpoint.id);
    const place = { storeId: store.id, endpointId: endpoint.id };
    const keys = new SecretKeys(A);
    expect(keys.open(storedSecret, { ...place, part: 'current' })).toBe(rotated.secret);
    expect(keys.open(storedPreviousSecret!, { ...place, part: 'previous' })).toBe(secret);
    // Of rotations at the same time each keeps the one before it.
    const all = await Promise.all(
      Array.from({ length: 5 }, () => ledger.webhooks.rotate(store, endpoint.id, 60)),
    );
    const last = await ledger.webhooks.get(store, endpoint.id);
    const { secret: now, previousSecret } = keys.openAll(last);
    const made = all.map((each) => each.secret);
    expect(made).toContain(now);
    expect(made).toContain(previousSecret);
    await ledger.webhooks.delete(store, endpoint.id);
  });

  test('secrets go from plain text to a key, to another key, and back', async () => {
    const plain = ledgerWith();
    const { store } = server;
    const made = [await subscribe(plain), await subscribe(plain), await subscribe(plain)];
    const first = made[0]!;
    await plain.webhooks.rotate(store, first.endpoint.id, 3_600);
    const { secret } = await plain.webhooks.rotate(store, made[1]!.endpoint.id, 3_600);
    await engine.reader.query(
      `update tallystick.webhook_endpoints set previous_secret_until = now() - interval '1 hour'
        where endpoint_id = $1`,
      [made[1]!.endpoint.id],
    );
    const before = await Promise.all(made.map(({ endpoint }) => opened(endpoint.id, [])));
    const { reader } = engine;
    const forms = (...keys: Buffer[]) => inspectSecrets(reader, new SecretKeys(...keys));
    const steps: [keys: SecretKeys, opens: Buffer[]][] = [
      [new SecretKeys(A), [A]],
      [new SecretKeys(B, A), [B]],
      [new SecretKeys(undefined, B), []],
    ];
    expect(await forms(A)).toMatchObject({ endpoints: 3, plain: 3, unreadable: [] });
    for (const [keys, opens] of steps) {
      expect(await resealSecrets(reader, keys)).toEqual({
        changed: 3,
        unchanged: 0,
        unreadable: [],
      });
      expect(await resealSecrets(reader, keys)).toMatchObject({ changed: 0, unchanged: 3 });
      const after = await Promise.all(made.map(({ endpoint }) => opened(endpoint.id, opens)));
      expect(after).toEqual(before);
      expect(await forms(...opens)).toMatchObject({
        plain: opens.length === 0 ? 3 : 0,
        outdated: 0,
        unreadable: [],
      });
    }
    expect(before[1]).toEqual({ secret, previousSecret: null });
    const { rows } = await reader.query(
      'select previous_secret from tallystick.webhook_endpoints where endpoint_id = $1',
      [made[1]!.endpoint.id],
    );
    expect(rows, 'what signs no more is dropped').toEqual([{ previous_secret: null }]);
    // One that cannot be read stays, and the others are done.
    await resealSecrets(reader, new SecretKeys(A));
    await ledgerWith(B).webhooks.rotate(store, first.endpoint.id, 0);
    const left = await resealSecrets(reader, new SecretKeys(undefined, A));
    expect(left).toMatchObject({ changed: 2, unreadable: [{ endpointId: first.endpoint.id }] });
    expect(await forms(A)).toMatchObject({ plain: 2, outdated: 1, unreadable: [{}] });
    for (const { endpoint } of made) await plain.webhooks.delete(store, endpoint.id);

    async function opened(id: string, keys: Buffer[]) {
      return new SecretKeys(...keys).openAll(await plain.webhooks.get(store, id));
    }
  });

  test('a secret that is rotated meanwhile is not lost', async () => {
    const ledger = ledgerWith();
    const { store } = server;
    const { endpoint } = await subscribe(ledger);
    const { reader } = engine;
    let rotated: string | undefined;
    // A rotation comes between what is read and what is written.
    const between = {
      async query(text: string, values?: unknown[]) {
        if (rotated === undefined && /^update/.test(text)) {
          rotated = (await ledger.webhooks.rotate(store, endpoint.id, 0)).secret;
        }
        return reader.query(text, values);
      },
    };
    expect(await resealSecrets(between, new SecretKeys(A))).toMatchObject({ changed: 1 });
    const found = await ledger.webhooks.get(store, endpoint.id);
    expect(isSealed(found.storedSecret)).toBe(true);
    expect(new SecretKeys(A).openAll(found).secret).toBe(rotated);
    await ledger.webhooks.delete(store, endpoint.id);
  });
});
