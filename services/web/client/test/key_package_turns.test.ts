import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { FileStore } from '../src/node.ts';
import { Browser, call } from './support/browser.ts';
import { withFolder } from './support/folders.ts';
import { MemoryStore } from './support/memory_store.ts';
import { threeTurns } from './support/turn_case.ts';

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await Browser.open();
  page = await browser.openTab();
});

afterAll(() => browser?.close());

const STORES: readonly [string, () => Promise<boolean[]>][] = [
  [
    'memory',
    () => {
      const records = new Map();
      return threeTurns({ open: async () => new MemoryStore(records) });
    },
  ],
  ['a folder', () => withFolder((folder) => threeTurns({ open: () => FileStore.open(folder) }))],
  ['IndexedDB', () => call(page, 'threeTurns') as Promise<boolean[]>],
];

test.each(STORES)('who held the turn once ends no one else’s, in %s', async (_, turns) => {
  expect(await turns()).toEqual([true, true, false]);
});
