import { describe, test } from 'vitest';

import { MemoryStore } from './support/memory_store.ts';
import { STORE_CASES } from './support/store_cases.ts';

describe('records in memory as a store', () => {
  test.each(STORE_CASES)('$name', async ({ run }) => {
    const records = new Map();
    await run({ open: async () => new MemoryStore(records) });
  });
});
