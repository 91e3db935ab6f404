import { describe, expect, test } from 'vitest';
import { AddressGuard, addressFault, parseAllowList } from '../../src/webhooks/delivery/address.js';
import { attempt } from '../../src/webhooks/delivery/attempt.js';
import { Connections } from '../../src/webhooks/delivery/connections.js';
import { WAIT_MS_MAX } from '../harness/until.js';
import { startReceiver } from './harness.js';

/** Every form of an address that must not be called. */
const REFUSED = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '169.254.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.31.196.1',
  '192.52.193.1',
  '192.88.99.1',
  '192.168.0.1',
  '192.175.48.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:8.8.8.8',
  '::ffff:a9fe:a9fe',
  '::ffff:0:7f00:1',
  '64:ff9b::7f00:1',
  '64:ff9b::808:808',
  '64:ff9b:1::a00:1',
  '100::1',
  '2001::7f00:1',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2',
  '2001:2::1',
  '2001:10::1',
  '2001:20::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '2002:a00:1::1',
  '2002:808:808::1',
  '2620:4f:8000::1',
  '3fff::1',
  '4000::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fdff::1',
  'fe80::1',
  'febf::1',
  'fec0::1',
  'ff02::1',
];

const PUBLIC = ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00::1'];

/** Other spellings of refused addresses, which the URL parser must not let through. */
const SPELLINGS = [
  '2130706433',
  '0x7f.1',
  '0177.0.0.1',
  '127.1',
  '0x7f000001',
  '127.0.0.1.',
  '①②⑦.0.0.1',
  '0',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:7f00:0001]',
];

function guardWith(addresses: readonly string[], allow = ''): AddressGuard {
  return new AddressGuard(parseAllowList(allow), async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  );
}

describe('addresses', () => {
  test.each(REFUSED)('%s is refused as a literal and through a name', async (address) => {
    expect(addressFault(address)).toBeTypeOf('string');
    const host = address.includes(':') ? `[${address}]` : address;
    const literal = await guardWith(['8.8.8.8']).check(`https://${host}/hook`);
    expect(literal).toHaveProperty('fault');
    const named = await guardWith([address]).check('https://receiver.example/hook');
    expect(named).toMatchObject({ fault: expect.stringContaining('refused') });
    const mixed = await guardWith(['8.8.8.8', address]).check('https://receiver.example/hook');
    expect(mixed, 'one bad address among good ones').toHaveProperty('fault');
  });

  test.each(PUBLIC)('%s is allowed as a literal and through a name', async (address) => {
    expect(addressFault(address)).toBeUndefined();
    const host = address.includes(':') ? `[${address}]` : address;
    expect(await guardWith([]).check(`https://${host}:8443/h`)).toHaveProperty('addresses');
    expect(await guardWith([address]).check('https://a.example/h')).toHaveProperty('addresses');
  });

  test.each(SPELLINGS)('%s is seen for what it is', async (spelling) => {
    expect(await guardWith([]).check(`https://${spelling}/hook`)).toHaveProperty('fault');
  });

  test('a zone names a link of this machine', () => {
    expect(addressFault('fe80::1%lo')).toBeTypeOf('string');
    expect(addressFault('2606:4700::1111%eth0')).toBeTypeOf('string');
  });

  test.each([
    ['http://receiver.example/', 'https'],
    ['ftp://receiver.example/', 'https'],
    ['javascript:alert(1)', 'not a URL'],
    ['https://user@receiver.example/', 'user name'],
    ['https://user:secret@receiver.example/', 'user name'],
    ['https://:secret@receiver.example/', 'user name'],
    ['not a url', 'not a URL'],
    [`https://receiver.example/${'a'.repeat(2_100)}`, 'longer'],
  ])('%s is refused: %s', async (url, reason) => {
    const checked = await guardWith(['8.8.8.8']).check(url);
    expect(checked).toMatchObject({ fault: expect.stringContaining(reason) });
  });

  test('a name that does not resolve is refused', async () => {
    const failing = new AddressGuard(parseAllowList(''), () => Promise.reject(new Error('no')));
    expect(await failing.check('https://a.example/')).toHaveProperty('fault');
    expect(await guardWith([]).check('https://a.example/')).toHaveProperty('fault');
  });
});

describe('the allow-list', () => {
  test.each([
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'http://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', true],
    ['10.0.0.0/8', 'http://11.1.2.3/', false],
    ['10.0.0.0/8', 'https://192.168.0.1/', false],
    ['10.1.2.3', 'http://10.1.2.3/', true],
    ['10.1.2.3', 'http://10.1.2.4/', false],
    ['fd00::/8', 'http://[fd00::1]/', true],
    ['fd00::/8', 'http://[fe80::1]/', false],
    ['Hook.Internal', 'http://hook.internal/', true],
    ['hook.internal', 'http://HOOK.internal./', true],
    ['hook.internal', 'http://not-hook.internal/', false],
    ['a.example, 10.0.0.1 ,', 'http://10.0.0.1/', true],
  ])('%s and %s: %s', async (allow, url, allowed) => {
    const checked = await guardWith(['172.16.0.9'], allow).check(url);
    expect('addresses' in checked).toBe(allowed);
  });

  test('a name in an allowed network is allowed only where all its addresses are', async () => {
    const url = 'http://a.example/';
    expect(await guardWith(['10.0.0.1'], '10.0.0.0/8').check(url)).toHaveProperty('addresses');
    expect(await guardWith(['10.0.0.1', '8.8.8.8'], '10.0.0.0/8').check(url)).toHaveProperty(
      'fault',
    );
  });

  test.each(['10.0.0.0/33', 'fd00::/129', 'a b', '10.0.0.0/8/8', 'http://x', '-a'])(
    '%s is no entry of it',
    (text) => {
      expect(() => parseAllowList(text)).toThrow(text);
    },
  );
});

describe('a name that changes its answer', () => {
  const connections = new Connections();
  const post = (url: string) => ({ url, body: '{}', headerSets: [{}], timeout: WAIT_MS_MAX });

  test('is asked once an attempt, and only what was checked is connected to', async () => {
    const receiver = await startReceiver();
    let asked = 0;
    // The second answer would lead elsewhere, but nobody asks for it.
    const guard = new AddressGuard(parseAllowList('127.0.0.1'), async () => {
      asked++;
      return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    });
    const url = `http://rebinding.invalid:${receiver.port}/`;
    const first = await attempt(guard, connections, post(url));
    expect(first.attempt).toMatchObject({ response_status: 200, error: null });
    expect(asked).toBe(1);
    expect(receiver.got).toHaveLength(1);
    const second = await attempt(guard, connections, post(url));
    expect(second.attempt.response_status).toBeNull();
    expect(second.attempt.error).toContain('127.0.0.2');
    expect(asked).toBe(2);
    expect(receiver.got).toHaveLength(1);
    await receiver.close();
  });

  test('is checked again at an attempt, although it passed at creation', async () => {
    const receiver = await startReceiver();
    const answers = ['8.8.8.8', '127.0.0.1'];
    const guard = new AddressGuard(parseAllowList(''), async () => [
      { address: answers.shift()!, family: 4 },
    ]);
    const url = `https://rebinding.invalid:${receiver.port}/`;
    expect(await guard.check(url)).toHaveProperty('addresses');
    const { attempt: made } = await attempt(guard, connections, post(url));
    expect(made).toMatchObject({ response_status: null });
    expect(made.error).toContain('loopback');
    expect(receiver.got).toHaveLength(0);
    await receiver.close();
  });
});
