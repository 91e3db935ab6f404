/** What the parts above the ledger use of it; the tables below it are nobody else's business. */
export type { Command } from '../core/command.js';
export { isReservedKey } from '../core/command.js';
export type { Position } from '../core/funds.js';
export { formatId, parseId } from '../core/id.js';
export type {
  Account,
  Entry,
  Grant,
  Hold,
  Posting,
  Remarks,
  Store,
  StoreMode,
  Transaction,
  Void,
} from '../core/model.js';
export type { Db, Engine } from '../store/db.js';
export type { Delivery } from '../store/deliveries.js';
export { type ApiKey, listKeys, listStores, revokeKey } from '../store/directory.js';
export { distribute, distributeStatements } from '../store/distribute.js';
export type { Endpoint } from '../store/endpoints.js';
export { type Inspection, inspectDatabase } from '../store/inspect.js';
export {
  cautionsOf,
  listMigrations,
  migrate,
  pendingMigrations,
  planMigrations,
  SetupError,
  schemaFault,
} from '../store/migrate.js';
export { openPostgres, type PostgresOptions } from '../store/postgres.js';
export type { PoolerMode } from '../store/settings.js';
export { isLost, isUnavailable } from '../store/sqlstate.js';
export { AddressGuard } from './address.js';
export { Deliverer } from './deliver.js';
export {
  type DeliverySettings,
  DeliverySettingsError,
  readDeliverySettings,
} from './delivery-settings.js';
export { parseDuration } from './duration.js';
export type { DeliveryLog } from './endpoint-health.js';
export { exportLedger } from './export.js';
export { checkExport, type MovedRows } from './export-file.js';
export { importLedger } from './import.js';
export {
  type Access,
  DEFAULT_STORE,
  ensureKey,
  generateKey,
  KeyRing,
  keyFault,
  modeOfKey,
  SCOPES,
} from './keys.js';
export {
  type AccountFilter,
  type EntryFilter,
  type EntryPlace,
  type HistoryEntry,
  Ledger,
  type Listed,
  type NotedFilter,
  type Page,
} from './ledger.js';
export { invalidCursor } from './lookup.js';
export type { Outcome } from './outcome.js';
export { Pace } from './pace.js';
export * from './requests.js';
export { inspectSecrets, resealSecrets, type SecretForms } from './reseal.js';
export { parseSecretKey, SecretKeys } from './secrets.js';
export { signedHeaders } from './signature.js';
export { ANNOUNCE_AHEAD_MS_DEFAULT, type Settled, Sweeper, sweepStore } from './sweep.js';
export {
  type Difference,
  type VerifyOptions,
  type VerifyProgress,
  type VerifyReport,
  verifyLedger,
} from './verify.js';
export { NO_EVENT } from './webhook-refusals.js';
export { within } from './within.js';
