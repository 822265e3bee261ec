import { expect, test } from 'vitest';

import config from '../vitest.config.ts';

interface Project {
  readonly test: {
    readonly name: string;
    readonly fileParallelism?: boolean;
    readonly sequence?: { readonly groupOrder?: number };
  };
}

test('what runs one file at a time has an order, the cheap first: else it runs last', () => {
  const projects = (config as unknown as { test: { projects: readonly Project[] } }).test.projects;
  const orders = projects.map(({ test: { name, fileParallelism = true, sequence } }) => {
    return [name, fileParallelism ? 0 : sequence?.groupOrder];
  });
  expect(orders).toEqual([
    ['unit', 0],
    ['integration', 1],
    ['conversations', 2],
    ['commands', 3],
    ['replicas', 4],
  ]);
});
