import type { z } from 'zod';
import type { listEntriesQuery, movementBody } from '../contract/schema.js';
import type { NotedFilter, Remarks } from '../ledger/index.js';

/** What callers note on a movement, between the wire and the ledger. */

export function remarksOf(
  body: Pick<z.output<typeof movementBody>, 'reference' | 'metadata'>,
): Remarks {
  const { reference, metadata = null } = body;
  return { reference, metadata };
}

export function notedFilter(query: z.output<typeof listEntriesQuery>): NotedFilter {
  const { reference } = query;
  return { reference };
}

/** What is not noted is not shown. */
export function presentRemarks({ reference, metadata }: Remarks) {
  return {
    reference,
    ...(metadata === null ? {} : { metadata }),
  };
}
