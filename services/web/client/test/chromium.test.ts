import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Browser, call } from './support/browser.ts';
import { STORE_CASES } from './support/store_cases.ts';

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await Browser.open();
  page = await browser.openTab();
});

afterAll(() => browser?.close());

describe('IndexedDB as a store, in Chromium', () => {
  test.each(STORE_CASES)('$name', ({ name }) => call(page, 'storeCase', name));

  test('two tabs count right', async () => {
    const other = await browser.openTab();
    await call(page, 'create', 'two tabs');
    await Promise.all([call(page, 'add', 'two tabs', 40), call(other, 'add', 'two tabs', 40)]);
    expect(await call(page, 'get', 'two tabs', 'sum')).toBe('80');
    await other.close();
  });

  test('what was put is there after the browser was killed', async () => {
    await call(page, 'put', 'killed', 'a', 'still here');
    await browser.crash(page);
    await browser.start();
    page = await browser.openTab();
    expect(await call(page, 'get', 'killed', 'a')).toBe('still here');
  });
});

describe('in Chromium, under a strict content security policy', () => {
  test('the passphrase opens what it closed, and no other does', async () => {
    const secret = 'I returned to use yesterday';
    await call(page, 'put', 'sealed', 'a', secret);
    expect(await call(page, 'get', 'sealed', 'a')).toBe(secret);
    expect(await call(page, 'unlockFault', 'sealed', 'a bird in the bush')).toBe(
      'wrong-passphrase',
    );
    expect(await call(page, 'rawText', 'sealed')).not.toContain(secret);
  });

  test('a group encrypts and decrypts', async () => {
    expect(await call(page, 'talk', 'hello')).toBe('hello');
  });
});
