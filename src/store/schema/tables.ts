/** The tables of a ledger, by what is done with all of a kind. */

/** Few rows, which statements about any store join. */
export const COMMON_TABLES = ['stores', 'api_keys'] as const;

/** The tables whose rows belong to one store each, those first that others refer to. */
export const STORE_TABLES = [
  'accounts',
  'transactions',
  'entries',
  'grants',
  'drawdowns',
  'holds',
  'webhook_endpoints',
  'outbox',
  'deliveries',
] as const;

/** Every table that holds a ledger, those first that others refer to. */
export const LEDGER_TABLES = [...COMMON_TABLES, ...STORE_TABLES];

/** The tables that nothing may be changed in. */
export const APPEND_ONLY: readonly string[] = ['transactions', 'entries', 'drawdowns'];
