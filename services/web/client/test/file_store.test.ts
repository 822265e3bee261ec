import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { build } from 'vite';
import { describe, expect, test } from 'vitest';

import { FileStore } from '../src/store/file_store.ts';
import { StoreConflict } from '../src/store/store.ts';
import type { Change } from '../src/store/store.ts';
import { withFolder } from './support/folders.ts';
import { STORE_CASES } from './support/store_cases.ts';

describe('a folder as a store', () => {
  test.each(STORE_CASES)('$name', ({ run }) =>
    withFolder((folder) => run({ open: () => FileStore.open(join(folder, 'a', 'store')) })),
  );
});

const count = (version: number): Change => ({
  name: 'sum',
  expected: version - 1,
  next: { kind: 'put', version, value: new Uint8Array(100) },
});

test('nobody else can read the folder', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(join(folder, 'store'));
    await store.apply([count(1)]);
    await store.close();
    expect((await stat(join(folder, 'store'))).mode & 0o777).toBe(0o700);
    for (const name of await readdir(join(folder, 'store'))) {
      expect((await stat(join(folder, 'store', name))).mode & 0o777).toBe(0o600);
    }
  }));

test('transactions are put together, and few files stay', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(folder);
    const late = await FileStore.open(folder);
    for (let i = 1; i <= 200; ++i) await store.apply([count(i)]);
    const files = await readdir(folder);
    expect(files.filter((name) => name.startsWith('snapshot-'))).toHaveLength(1);
    expect(files.length).toBeLessThan(66);
    expect((await late.get('sum'))?.version).toBe(200);
    await late.apply([count(201)]);
    expect((await store.get('sum'))?.version).toBe(201);
  }));

test('a name of a segment that was merged long ago counts for nothing', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(folder);
    for (let i = 1; i <= 65; ++i) await store.apply([count(i)]);
    // What a writer leaves that slept while others merged: number 3 again, with other content.
    const newest = await readFile(join(folder, 'segment-000000000065'));
    await writeFile(join(folder, 'segment-000000000003'), newest);
    const again = await FileStore.open(folder);
    expect((await again.get('sum'))?.version).toBe(65);
    await again.apply([count(66)]);
    expect((await store.get('sum'))?.version).toBe(66);
  }));

/** A writer that is held up once in the middle of an apply, before or after its link(2). */
async function heldUp(
  folder: string,
  where: 'write' | 'syncFolder',
  meanwhile: () => Promise<void>,
): Promise<FileStore> {
  const store = await FileStore.open(folder);
  type Steps = Record<typeof where, (...given: unknown[]) => Promise<unknown>>;
  const steps = store as unknown as Steps;
  const step = steps[where];
  steps[where] = async (...given) => {
    steps[where] = step;
    await meanwhile();
    return step.apply(store, given);
  };
  return store;
}

const other = (version: number): Change => ({ ...count(version), name: 'other' });

test('a writer that slept while its place was taken, merged and deleted, begins again', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(folder);
    await store.apply([count(1)]);
    const writeMany = (from: number, to: number) => async () => {
      for (let i = from; i <= to; ++i) await store.apply([count(i)]);
    };
    const sleeper = await heldUp(folder, 'write', writeMany(2, 80));
    await sleeper.apply([other(1)]);
    expect((await store.get('other'))?.version).toBe(1);
    expect((await (await FileStore.open(folder)).get('other'))?.version).toBe(1);

    const loser = await heldUp(folder, 'write', writeMany(81, 160));
    await expect(loser.apply([count(81)])).rejects.toThrow(StoreConflict);
    expect((await loser.get('sum'))?.version).toBe(160);
    // Hundreds later nobody can say any more whose the place was.
    const late = await heldUp(folder, 'syncFolder', writeMany(161, 800));
    await expect(late.apply([other(2)])).rejects.toMatchObject({ fault: 'unknown' });
    expect((await store.get('other'))?.version).toBe(2);
  }));

test('a transaction that others merged before its writer looked counts once', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(folder);
    const writer = await heldUp(folder, 'syncFolder', async () => {
      for (let i = 1; i <= 80; ++i) await store.apply([count(i)]);
    });
    await writer.apply([other(1)]);
    expect((await store.get('other'))?.version).toBe(1);
    expect((await writer.get('sum'))?.version).toBe(80);
  }));

test('a changed bit on the disk is noticed', () =>
  withFolder(async (folder) => {
    const store = await FileStore.open(folder);
    await store.apply([count(1)]);
    const [name = ''] = await readdir(folder);
    const bytes = await readFile(join(folder, name));
    for (const at of [3, 64, 65, bytes.length - 1]) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      await writeFile(join(folder, name), changed);
      await expect(FileStore.open(folder)).rejects.toMatchObject({ fault: 'damaged' });
    }
    await writeFile(join(folder, name), bytes.subarray(0, 40));
    await expect(FileStore.open(folder)).rejects.toMatchObject({ fault: 'damaged' });
  }));

test('a folder that cannot be is named', () =>
  withFolder(async (folder) => {
    await writeFile(join(folder, 'file'), '');
    const opening = FileStore.open(join(folder, 'file', 'store'));
    await expect(opening).rejects.toMatchObject({ fault: 'unavailable' });
  }));

/** A program that adds 1 to `sum` for ever and says every number that is on disk. */
async function buildWriter(folder: string): Promise<string> {
  const entry = join(folder, 'writer.ts');
  const store = join(import.meta.dirname, '../src/store/file_store.ts');
  await writeFile(
    entry,
    `import { FileStore } from ${JSON.stringify(store)};
     const store = await FileStore.open(process.argv[2]);
     for (;;) {
       const version = (await store.get('sum'))?.version ?? 0;
       const next = { kind: 'put', version: version + 1, value: new Uint8Array(100) };
       const written = await store.apply([{ name: 'sum', expected: version, next }]).then(
         () => true,
         (error) => { if (error.name !== 'StoreConflict') throw error; return false; },
       );
       if (written) process.stdout.write(version + 1 + '\\n');
     }`,
  );
  await build({
    logLevel: 'error',
    build: {
      ssr: entry,
      outDir: join(folder, 'program'),
      rollupOptions: { output: { entryFileNames: 'writer.mjs' } },
    },
  });
  return join(folder, 'program', 'writer.mjs');
}

test('processes that are killed lose nothing that they said, and leave no lock', () =>
  withFolder(async (folder) => {
    const program = await buildWriter(folder);
    const place = join(folder, 'store');
    const said: number[] = [];
    for (let round = 0; round < 4; ++round) {
      const writers = [1, 2, 3].map(() =>
        spawn(process.execPath, [program, place], { stdio: ['ignore', 'pipe', 'inherit'] }),
      );
      const until = said.length + 60;
      await Promise.all(
        writers.map(async (writer) => {
          const ended = once(writer, 'exit');
          for await (const line of createInterface({ input: writer.stdout! })) {
            said.push(Number(line));
            if (said.length >= until) writers.forEach((one) => one.kill('SIGKILL'));
          }
          await ended;
        }),
      );
    }
    // Each number was won by one writer, and the sum is no less than the last that was said.
    expect(new Set(said).size).toBe(said.length);
    const store = await FileStore.open(place);
    const sum = (await store.get('sum'))?.version ?? 0;
    expect(sum).toBeGreaterThanOrEqual(Math.max(...said));
    // A writer may die between the disk and its word: one number for each of the twelve.
    expect(sum - said.length).toBeLessThanOrEqual(12);
    await store.apply([count(sum + 1)]);
  }), 60_000);
