import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';
import type { BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { PageCalls } from './browser/page.ts';
import { STORE_CASES } from './support/store_cases.ts';
import { until } from './support/until.ts';

const CHROMIUM = process.env['HANDRAIL_CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
// As strict as the reference app's.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

let folder: string;
let server: Server;
let origin: string;
let context: BrowserContext;
let page: Page;

/** The page and its parts, which the engine loads when it needs them. */
async function buildPage(): Promise<string> {
  const outDir = join(folder, 'page');
  await build({
    configFile: false,
    logLevel: 'error',
    build: {
      lib: { entry: join(import.meta.dirname, 'browser/page.ts'), formats: ['es'], fileName: 'page' },
      outDir,
      minify: false,
    },
  });
  return outDir;
}

async function serve(scripts: string): Promise<void> {
  server = createServer((request, response) => {
    response.setHeader('content-security-policy', POLICY);
    const script = /^\/([\w.-]+\.js)$/.exec(request.url ?? '')?.[1];
    if (script === undefined) {
      response
        .setHeader('content-type', 'text/html')
        .end('<!doctype html><title>page</title><script type="module" src="/page.js"></script>');
      return;
    }
    readFile(join(scripts, script)).then(
      (bytes) => response.setHeader('content-type', 'text/javascript').end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function openBrowser(): Promise<void> {
  context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    executablePath: CHROMIUM,
    headless: true,
    args: FLAGS,
  });
  page = await openTab();
}

async function openTab(): Promise<Page> {
  const tab = await context.newPage();
  const errors: Error[] = [];
  tab.on('pageerror', (error) => errors.push(error));
  tab.on('console', (line) => {
    if (line.type() === 'error') errors.push(new Error(line.text()));
  });
  await tab.goto(origin);
  await until('the page', 10, () => {
    if (errors[0] !== undefined) throw errors[0];
    return tab.evaluate(() => 'handrail' in window);
  });
  return tab;
}

function call<K extends keyof PageCalls>(
  tab: Page,
  name: K,
  ...values: Parameters<PageCalls[K]>
): ReturnType<PageCalls[K]> {
  return tab.evaluate(
    ([method, given]) => {
      const { handrail } = window as unknown as {
        handrail: Record<string, (...all: unknown[]) => unknown>;
      };
      return handrail[method]!(...given);
    },
    [name, values] as [string, unknown[]],
  ) as ReturnType<PageCalls[K]>;
}

beforeAll(async () => {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`${CHROMIUM} is not there: run tools/setup, or set HANDRAIL_CHROMIUM`);
  }
  folder = await mkdtemp(join(tmpdir(), 'handrail-chromium-'));
  await serve(await buildPage());
  await openBrowser();
});

afterAll(async () => {
  await context?.close();
  server?.close();
  server?.closeAllConnections();
  if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

describe('IndexedDB as a store, in Chromium', () => {
  test.each(STORE_CASES)('$name', ({ name }) => call(page, 'storeCase', name));

  test('two tabs count right', async () => {
    const other = await openTab();
    await call(page, 'create', 'two tabs');
    await Promise.all([call(page, 'add', 'two tabs', 40), call(other, 'add', 'two tabs', 40)]);
    expect(await call(page, 'get', 'two tabs', 'sum')).toBe('80');
    await other.close();
  });

  test('what was put is there after the browser was killed', async () => {
    await call(page, 'put', 'killed', 'a', 'still here');
    const devTools = await context.newCDPSession(page);
    const gone = new Promise<void>((closed) => context.once('close', () => closed()));
    // The browser's own process ends as it is, and flushes nothing on the way out.
    devTools.send('Browser.crash').catch(() => {});
    await gone;
    await openBrowser();
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
