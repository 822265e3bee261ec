// The real services, started once for all integration tests by `handrail up`.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import type { TestProject } from 'vitest/node';

import type { Endpoints } from '../../src/transport/node.ts';
import { until } from '../support/until.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    endpoints: Endpoints;
    /** Of the deployment. */
    folder: string;
  }
}

function portIsFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

async function freeBasePort(): Promise<number> {
  for (let base = 23_000; base < 29_000; base += 20) {
    const wanted = [1, 2, 3, 11, 12, 13].map((offset) => base + offset);
    if ((await Promise.all(wanted.map(portIsFree))).every(Boolean)) return base;
  }
  throw new Error('no free ports');
}

function program(): string {
  const here = import.meta.dirname;
  const folder = process.env['HANDRAIL_BIN_DIR'] ?? join(here, '../../../../../build/gcc/bin');
  const path = resolve(folder, 'handrail');
  if (existsSync(path)) return path;
  throw new Error(`${path} is not there: build the services, or set HANDRAIL_BIN_DIR`);
}

async function stop(up: ChildProcess): Promise<void> {
  if (up.exitCode !== null || up.signalCode !== null) return;
  const ended = once(up, 'exit');
  up.kill('SIGTERM');
  await ended;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const handrail = program();
  const folder = mkdtempSync(join(tmpdir(), 'handrail-client-'));
  const port = String(await freeBasePort());
  const up = spawn(handrail, ['--data', folder, 'up', '--port', port], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const file = join(folder, 'endpoints.json');
  const teardown = async () => {
    await stop(up);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('handrail up', 60, () => {
      if (up.exitCode !== null) throw new Error(`handrail up ended with ${up.exitCode}`);
      return existsSync(file);
    });
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide('endpoints', JSON.parse(readFileSync(file, 'utf8')) as Endpoints);
  project.provide('folder', folder);
  return teardown;
}
