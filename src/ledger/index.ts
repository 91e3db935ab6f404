/** What the parts above the ledger use of it; the tables below it are nobody else's business. */

export {
  type Access,
  DEFAULT_STORE,
  ensureKey,
  generateKey,
  KeyRing,
  keyFault,
  modeOfKey,
  SCOPES,
} from '../access/keys.js';
export type { Command } from '../core/command.js';
export { isReservedKey } from '../core/command.js';
export type { Position } from '../core/funds/funds.js';
export { formatId, parseId } from '../core/id.js';
export { invalidCursor } from '../core/lookup.js';
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
export { exportLedger } from '../move/export.js';
export { checkExport, type MovedRows } from '../move/export-file.js';
export { importLedger } from '../move/import.js';
export {
  type Difference,
  type VerifyOptions,
  type VerifyProgress,
  type VerifyReport,
  verifyLedger,
} from '../proof/verify.js';
export type { Db, Engine } from '../store/engine/db.js';
export { openPostgres, type PostgresOptions } from '../store/engine/postgres.js';
export type { PoolerMode } from '../store/engine/settings.js';
export { isLost, isUnavailable } from '../store/engine/sqlstate.js';
export { type ApiKey, listKeys, listStores, revokeKey } from '../store/read/directory.js';
export { distribute, distributeStatements } from '../store/schema/distribute.js';
export { type Inspection, inspectDatabase } from '../store/schema/inspect.js';
export {
  cautionsOf,
  listMigrations,
  migrate,
  pendingMigrations,
  planMigrations,
  SetupError,
  schemaFault,
} from '../store/schema/migrate.js';
export type { Delivery } from '../store/webhooks/deliveries.js';
export type { Endpoint } from '../store/webhooks/endpoints.js';
export { AddressGuard } from '../webhooks/delivery/address.js';
export { Deliverer } from '../webhooks/delivery/deliver.js';
export { Pace } from '../webhooks/delivery/pace.js';
export {
  type DeliverySettings,
  DeliverySettingsError,
  readDeliverySettings,
} from '../webhooks/delivery-settings.js';
export { parseDuration } from '../webhooks/duration.js';
export type { DeliveryLog } from '../webhooks/endpoint-health.js';
export { NO_EVENT } from '../webhooks/refusals.js';
export { inspectSecrets, resealSecrets, type SecretForms } from '../webhooks/reseal.js';
export { parseSecretKey, SecretKeys } from '../webhooks/secrets.js';
export { signedHeaders } from '../webhooks/signature.js';
export { within } from '../webhooks/within.js';
export * from './commands.js';
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
export { ANNOUNCE_AHEAD_MS_DEFAULT, type Settled, Sweeper, sweepStore } from './sweep.js';
export type { Outcome } from './write/outcome.js';
