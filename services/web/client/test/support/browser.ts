// Chromium with a page that holds the library, for tests.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';
import type { BrowserContext, Page } from 'playwright-core';
import { build } from 'vite';

import type { PageCalls } from '../browser/page.ts';
import { until } from './until.ts';

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

/** Answers what is no page and no script: a POST. */
export type Gateway = (request: IncomingMessage, response: ServerResponse) => void;

/** The page and its parts, which the engine loads when it needs them. */
async function buildPage(folder: string): Promise<string> {
  const outDir = join(folder, 'page');
  const entry = join(import.meta.dirname, '../browser/page.ts');
  await build({
    configFile: false,
    logLevel: 'error',
    build: { lib: { entry, formats: ['es'], fileName: 'page' }, outDir, minify: false },
  });
  return outDir;
}

function answer(scripts: string, request: IncomingMessage, response: ServerResponse): void {
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
}

export class Browser {
  private context!: BrowserContext;

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
    private readonly origin: string,
  ) {}

  static async open(gateway?: Gateway): Promise<Browser> {
    if (!existsSync(CHROMIUM)) {
      throw new Error(`${CHROMIUM} is not there: run tools/setup, or set HANDRAIL_CHROMIUM`);
    }
    const folder = await mkdtemp(join(tmpdir(), 'handrail-chromium-'));
    const scripts = await buildPage(folder);
    const server = createServer((request, response) => {
      if (request.method === 'POST' && gateway !== undefined) gateway(request, response);
      else answer(scripts, request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const browser = new Browser(folder, server, `http://127.0.0.1:${port}`);
    await browser.start();
    return browser;
  }

  /** With the profile that it had, should it have run before. */
  async start(): Promise<void> {
    this.context = await chromium.launchPersistentContext(join(this.folder, 'profile'), {
      executablePath: CHROMIUM,
      headless: true,
      args: FLAGS,
    });
  }

  async openTab(): Promise<Page> {
    const tab = await this.context.newPage();
    const errors: Error[] = [];
    tab.on('pageerror', (error) => errors.push(error));
    tab.on('console', (line) => {
      if (line.type() === 'error') errors.push(new Error(line.text()));
    });
    await tab.goto(this.origin);
    await until('the page', 10, () => {
      if (errors[0] !== undefined) throw errors[0];
      return tab.evaluate(() => 'handrail' in window);
    });
    return tab;
  }

  /** The browser's own process ends as it is, and flushes nothing on the way out. */
  async crash(tab: Page): Promise<void> {
    const devTools = await this.context.newCDPSession(tab);
    const gone = new Promise<void>((closed) => this.context.once('close', () => closed()));
    devTools.send('Browser.crash').catch(() => {});
    await gone;
  }

  async close(): Promise<void> {
    await this.context.close();
    this.server.close();
    this.server.closeAllConnections();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Calls what `browser/page.ts` has, in a tab. */
export function call<K extends keyof PageCalls>(
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
