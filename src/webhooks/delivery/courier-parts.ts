import type { Uuid } from '../../core/id.js';
import type { Db } from '../../store/engine/db.js';
import type { DeliverySettings } from '../delivery-settings.js';
import type { DeliveryLog } from '../endpoint-health.js';
import type { SecretKeys } from '../secrets.js';
import type { AddressGuard } from './address.js';
import type { AttemptCounts } from './attempted.js';
import type { Pace } from './pace.js';

/** What every courier of a deliverer works with. */
export interface CourierParts {
  readonly db: Db;
  readonly settings: DeliverySettings;
  readonly guard: AddressGuard;
  readonly pace: Pace;
  readonly secretKeys: SecretKeys;
  /** Whose lease it is: one for each worker. */
  readonly owner: Uuid;
  readonly log: DeliveryLog;
  readonly counts: AttemptCounts;
  /** From 0 up to 1. */
  readonly random: () => number;
}
