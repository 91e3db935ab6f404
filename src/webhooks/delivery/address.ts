import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { within } from '../within.js';

/**
 * Which addresses may be called. A webhook's URL is chosen by whoever holds a key, so without
 * these checks the server could be made to call what only it can reach.
 */

/** Networks that are not the public internet, each with the reason that a caller is told. */
const REFUSED: readonly (readonly [network: string, reason: string])[] = [
  ['0.0.0.0/8', 'this host'],
  ['10.0.0.0/8', 'a private network'],
  ['100.64.0.0/10', 'carrier-grade NAT'],
  ['127.0.0.0/8', 'loopback'],
  ['168.63.129.16/32', 'a cloud metadata service'],
  ['169.254.0.0/16', 'link-local or a cloud metadata service'],
  ['172.16.0.0/12', 'a private network'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.31.196.0/24', 'reserved'],
  ['192.52.193.0/24', 'reserved'],
  ['192.88.99.0/24', 'a 6to4 relay'],
  ['192.168.0.0/16', 'a private network'],
  ['192.175.48.0/24', 'reserved'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved or broadcast'],
  ['::ffff:0:0/96', 'an IPv4 address inside IPv6'],
  ['64:ff9b::/96', 'NAT64'],
  ['64:ff9b:1::/48', 'NAT64'],
  ['fc00::/7', 'a private network'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
  ['2001::/32', 'Teredo'],
  ['2001::/23', 'reserved'],
  ['2001:db8::/32', 'documentation'],
  ['2002::/16', '6to4'],
  ['2620:4f:8000::/48', 'reserved'],
  ['3fff::/20', 'documentation'],
];

// All of the public IPv6 internet lies here, so what lies outside needs no list: loopback, the
// unspecified address, IPv4-compatible addresses and everything not yet assigned.
const PUBLIC_IPV6 = networks(['2000::/3']);
const REFUSED_NETWORKS = REFUSED.map(([network, reason]) => ({
  family: familyOf(network),
  networks: networks([network]),
  reason,
}));

/** @returns why an address may not be called; undefined where it may. */
export function addressFault(address: string): string | undefined {
  const family = isIP(address);
  // A zone such as %eth0 names one of this machine's own links.
  if (family === 0 || address.includes('%')) return 'not a plain IP address';
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  // BlockList takes an IPv4-mapped address for the IPv4 one, so each family has its own lists.
  const refused = REFUSED_NETWORKS.find(
    (entry) => entry.family === family && entry.networks.check(address, kind),
  );
  if (refused !== undefined) return refused.reason;
  if (family === 6 && !PUBLIC_IPV6.check(address, kind)) return 'not a public IPv6 address';
  return undefined;
}

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Finds all addresses of a host name. @throws where it has none. */
export type Resolve = (host: string) => Promise<readonly Address[]>;

/** What the operator allows although it is not public. */
export interface AllowList {
  readonly hosts: ReadonlySet<string>;
  readonly networks: BlockList;
}

/**
 * Reads `TALLYSTICK_WEBHOOK_ALLOW`: host names, IP addresses and CIDRs, separated by commas.
 *
 * @throws {Error} naming the part that is none of these.
 */
export function parseAllowList(text: string): AllowList {
  const hosts = new Set<string>();
  const allowed: string[] = [];
  for (const part of text.split(',').map((each) => each.trim().toLowerCase())) {
    if (part === '') continue;
    if (isNetwork(part)) allowed.push(part);
    else if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(part)) hosts.add(part);
    else throw new Error(`"${part}" is not a host name, an IP address or a CIDR`);
  }
  return { hosts, networks: networks(allowed) };
}

/** Where an attempt may connect to: every address of the host, all of them checked. */
export interface Target {
  readonly url: URL;
  readonly addresses: readonly Address[];
}

const URL_LENGTH_MAX = 2_048;
const RESOLVE_MS_MAX = 5_000;

export class AddressGuard {
  readonly #allow: AllowList;
  readonly #resolve: Resolve;
  /** Look-ups under way: a resolver that is silent is asked but one question for each host. */
  readonly #asked = new Map<string, Promise<readonly Address[]>>();

  constructor(allow: AllowList = parseAllowList(''), resolve: Resolve = resolveByDns) {
    this.#allow = allow;
    this.#resolve = resolve;
  }

  /**
   * Resolves a URL's host once and checks the scheme and every address.
   *
   * @returns the only addresses that may be connected to, or why it may not be called at all.
   */
  async check(text: string): Promise<Target | { readonly fault: string }> {
    const url = parseUrl(text);
    if ('fault' in url) return url;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const found = await this.#addresses(host);
    if (found.length === 0) return { fault: `its host ${host} does not resolve` };
    const named = this.#allow.hosts.has(host.toLowerCase().replace(/\.$/, ''));
    const isAllowed = ({ address, family }: Address) =>
      named || this.#allow.networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
    for (const each of found) {
      const reason = isAllowed(each) ? undefined : addressFault(each.address);
      if (reason !== undefined) return { fault: refusal(host, each.address, reason) };
    }
    if (url.protocol === 'http:' && !found.every(isAllowed)) {
      return { fault: 'it must begin with https://' };
    }
    return { url, addresses: found };
  }

  async #addresses(host: string): Promise<readonly Address[]> {
    const family = isIP(host);
    // Node asks no resolver for a literal, and neither must this.
    if (family !== 0) return [{ address: host, family: family as 4 | 6 }];
    return within(RESOLVE_MS_MAX, this.#lookUp(host), []);
  }

  #lookUp(host: string): Promise<readonly Address[]> {
    const asked = this.#asked.get(host);
    if (asked !== undefined) return asked;
    const asking = this.#resolve(host)
      .catch(() => [])
      .finally(() => this.#asked.delete(host));
    this.#asked.set(host, asking);
    return asking;
  }
}

function refusal(host: string, address: string, reason: string): string {
  const what = host === address ? address : `${host} (${address})`;
  return `${what} is refused (${reason}); the operator can permit it with TALLYSTICK_WEBHOOK_ALLOW`;
}

function parseUrl(text: string): URL | { fault: string } {
  if (text.length > URL_LENGTH_MAX) {
    return { fault: `it is longer than ${URL_LENGTH_MAX} characters` };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '') return { fault: 'it is not a URL' };
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return { fault: 'it must begin with https://' };
  }
  if (url.username !== '' || url.password !== '') {
    return { fault: 'it must not hold a user name or a password' };
  }
  return url;
}

async function resolveByDns(host: string): Promise<readonly Address[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address, family }) => ({ address, family: family === 4 ? 4 : 6 }));
}

function networks(list: readonly string[]): BlockList {
  const set = new BlockList();
  for (const network of list) {
    const [address, bits] = network.split('/');
    const family = familyOf(network);
    set.addSubnet(
      address!,
      bits === undefined ? (family === 4 ? 32 : 128) : Number(bits),
      family === 4 ? 'ipv4' : 'ipv6',
    );
  }
  return set;
}

function isNetwork(text: string): boolean {
  const [address, bits, ...rest] = text.split('/');
  const family = isIP(address!);
  if (family === 0 || rest.length > 0) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
  );
}

function familyOf(network: string): number {
  return isIP(network.split('/')[0]!);
}
