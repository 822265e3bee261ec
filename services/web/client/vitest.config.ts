import { defineConfig } from 'vitest/config';

const timeouts = { testTimeout: 30_000, hookTimeout: 60_000 };

const deployed = {
  // One of them kills a service that the others use.
  fileParallelism: false,
  globalSetup: 'test/integration/deployment.ts',
  ...timeouts,
  // They wait for states; a machine that compiles beside them takes its time.
  testTimeout: 120_000,
};
// So many people come in these that a deployment of their own is called as often as it allows.
const CONVERSATIONS = 'test/integration/conversation*.test.ts';
const COMMANDS = 'test/integration/chat*.test.ts';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/*.test.ts'], ...timeouts } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/*.test.ts'],
          exclude: [CONVERSATIONS, COMMANDS],
          ...deployed,
          // One file at a time without an order would come after all that have one.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'conversations',
          include: [CONVERSATIONS],
          ...deployed,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'commands',
          include: [COMMANDS],
          ...deployed,
          // Every command begins with a passphrase, which is slow on purpose.
          testTimeout: 180_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        // Each has replicas of its own, and kills them.
        test: {
          name: 'replicas',
          include: ['test/replicas/*.test.ts'],
          fileParallelism: false,
          ...timeouts,
          testTimeout: 600_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
