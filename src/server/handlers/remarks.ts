import type { z } from 'zod';
import type { listEntriesQuery } from '../../contract/schema.js';
import type { NotedFilter, Remarks } from '../../ledger/index.js';

/** What callers note on a movement, between the wire and the ledger. */

export function notedFilter(query: z.output<typeof listEntriesQuery>): NotedFilter {
  const { reference, description } = query;
  return { reference, description };
}

/** What is not noted is not shown. */
export function presentRemarks({ reference, description, metadata }: Remarks) {
  return {
    reference,
    ...(description === null ? {} : { description }),
    ...(metadata === null ? {} : { metadata }),
  };
}
