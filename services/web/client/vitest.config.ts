import { defineConfig } from 'vitest/config';

const timeouts = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/*.test.ts'], ...timeouts } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/*.test.ts'],
          // One of them kills a service that the others use.
          fileParallelism: false,
          globalSetup: 'test/integration/deployment.ts',
          ...timeouts,
        },
      },
    ],
  },
});
