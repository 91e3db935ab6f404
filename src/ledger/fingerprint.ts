import { hash } from 'node:crypto';
import type { Uuid } from '../core/id.js';

/**
 * Hashes a command's canonical form. 128 bits are kept: a key's owner could gain nothing from
 * making two of his own requests collide.
 */
export function fingerprint(canonical: string): Uuid {
  const hex = hash('sha256', canonical, 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
