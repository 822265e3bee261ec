import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import { encodeSegment, encodeSnapshot, readSegment, readSnapshot } from './file_format.ts';
import { StoreConflict, StoreError, checkChanges } from './store.ts';
import type { Snapshot } from './file_format.ts';
import type { Change, Store, StoredRecord } from './store.ts';

/** So many transactions lie side by side before they are put together. */
const SEGMENTS_TO_MERGE = 64;
/** A snapshot names so many transactions, for writers that were overtaken. */
const RECENT = 512;
/** Somebody always wins; whoever loses so often has met something else than others' luck. */
const MAX_ATTEMPTS = 1000;
/** Nobody writes for so long. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;

const fileName = (kind: 'segment' | 'snapshot', sequence: number) =>
  `${kind}-${String(sequence).padStart(12, '0')}`;

function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

/**
 * A folder. Each transaction is a file `segment-<n>` that is written, synced, and then given its
 * name by link(2), which fails when the name is taken: who gets the name has won place n, and the
 * loser reads what won and checks its expectations anew. There is no lock, so none is ever left by
 * a process that died. Now and then `snapshot-<n>` replaces the segments up to n.
 *
 * A writer that was asleep may get the name of a segment that was merged and deleted meanwhile.
 * Such a segment is void: its number is not above that of the newest snapshot. So whoever reads
 * segments, or has just linked one, looks afterwards whether there is a newer snapshot.
 *
 * Needs a file system with hard links on this machine, not one over a network.
 */
export class FileStore implements Store {
  private records = new Map<string, StoredRecord>();
  private recent: string[] = [];
  private sequence = 0;
  private base = 0;
  private closed = false;
  private tail: Promise<unknown> = Promise.resolve();

  private constructor(private readonly folder: string) {}

  /** Makes the folder where there is none, readable by its owner alone. */
  static async open(folder: string): Promise<FileStore> {
    const store = new FileStore(folder);
    await store.inTurn(async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await store.refresh();
      await store.removeLeftovers();
    });
    return store;
  }

  get(name: string): Promise<StoredRecord | undefined> {
    return this.inTurn(async () => {
      await this.refresh();
      const found = this.records.get(name);
      return found && { version: found.version, value: found.value.slice() };
    });
  }

  list(prefix: string): Promise<string[]> {
    return this.inTurn(async () => {
      await this.refresh();
      return [...this.records.keys()].filter((name) => name.startsWith(prefix)).sort();
    });
  }

  apply(changes: readonly Change[]): Promise<void> {
    return this.inTurn(async () => {
      checkChanges(changes);
      const id = randomBytes(8).toString('hex');
      const bytes = encodeSegment({ id, changes });
      for (let attempt = 0; attempt < MAX_ATTEMPTS; ++attempt) {
        await this.refresh();
        this.expect(changes);
        if (changes.every(({ next }) => next.kind === 'keep')) return;
        if (await this.append(id, bytes)) return;
      }
      throw new StoreError('unavailable', 'others write without a pause');
    });
  }

  async close(): Promise<void> {
    const waited = this.tail;
    this.closed = true;
    await waited.catch(() => {});
  }

  private inTurn<T>(step: () => Promise<T>): Promise<T> {
    if (this.closed) return Promise.reject(new StoreError('closed', 'the store is closed'));
    const run = async () => {
      try {
        return await step();
      } catch (error) {
        if (error instanceof StoreError || error instanceof StoreConflict) throw error;
        const message = `the folder ${this.folder} cannot be used: ${errnoOf(error)}`;
        throw new StoreError('unavailable', message, { cause: error });
      }
    };
    const result = this.tail.then(run, run);
    this.tail = result.catch(() => {});
    return result;
  }

  private expect(changes: readonly Change[]): void {
    for (const { name, expected } of changes) {
      if ((this.records.get(name)?.version ?? 0) !== expected) throw new StoreConflict(name);
    }
  }

  /** False when another came first. */
  private async append(id: string, bytes: Buffer): Promise<boolean> {
    const wanted = this.sequence + 1;
    const temporary = await this.write(bytes);
    try {
      await link(temporary, join(this.folder, fileName('segment', wanted)));
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await unlink(temporary);
    }
    await this.syncFolder();
    if (!(await this.counts(wanted, id))) return false;
    await this.refresh();
    if (this.sequence - this.base >= SEGMENTS_TO_MERGE) await this.merge();
    return true;
  }

  /** Whether the segment that we linked as number `wanted` is not void. */
  private async counts(wanted: number, id: string): Promise<boolean> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; ++attempt) {
      const newest = await this.newestSnapshot();
      if (newest < wanted) return true;
      const snapshot = await this.loadSnapshot(newest);
      if (snapshot === undefined) continue;
      const back = newest - wanted;
      // The snapshot took ours as number `wanted`, or another's.
      const taken = snapshot.recent[snapshot.recent.length - 1 - back];
      if (taken !== undefined) return taken === id;
      break;
    }
    throw new StoreError('unknown', 'this process slept through hundreds of transactions');
  }

  private async write(bytes: Buffer): Promise<string> {
    const path = join(this.folder, `new-${randomBytes(8).toString('hex')}`);
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  private async syncFolder(): Promise<void> {
    const folder = await open(this.folder, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  private async newestSnapshot(): Promise<number> {
    const names = (await readdir(this.folder)).filter((name) => name.startsWith('snapshot-'));
    return names.reduce((newest, name) => Math.max(newest, Number(name.slice(9))), 0);
  }

  /** Undefined when it was replaced by a newer one meanwhile. */
  private async loadSnapshot(sequence: number): Promise<Snapshot | undefined> {
    const bytes = await this.readIfThere(fileName('snapshot', sequence));
    return bytes && readSnapshot(bytes, fileName('snapshot', sequence));
  }

  private async readIfThere(name: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.folder, name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Brings what is in memory up to what is on disk. */
  private async refresh(): Promise<void> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; ++attempt) {
      const newest = await this.newestSnapshot();
      if (newest !== this.base && !(await this.startFrom(newest))) continue;
      const before = this.sequence;
      while (await this.readNext());
      if ((await this.newestSnapshot()) !== newest) {
        // What was just read may be void: start from the snapshot in any case.
        this.base = -1;
        continue;
      }
      // Others' segments may not be durable yet, and what is told of them must be.
      if (this.sequence !== before) await this.syncFolder();
      return;
    }
    throw new StoreError('unavailable', 'others write without a pause');
  }

  /** False when the snapshot was replaced by a newer one before it was read. */
  private async startFrom(sequence: number): Promise<boolean> {
    const nothing = { recent: [], records: new Map<string, StoredRecord>() };
    const snapshot = sequence === 0 ? nothing : await this.loadSnapshot(sequence);
    if (snapshot === undefined) return false;
    this.records = new Map(snapshot.records);
    this.recent = [...snapshot.recent];
    this.sequence = sequence;
    this.base = sequence;
    return true;
  }

  private async readNext(): Promise<boolean> {
    const name = fileName('segment', this.sequence + 1);
    const bytes = await this.readIfThere(name);
    if (bytes === undefined) return false;
    const segment = readSegment(bytes, name);
    segment.apply(this.records);
    this.recent = [...this.recent.slice(1 - RECENT), segment.id];
    this.sequence += 1;
    return true;
  }

  /** Several may do so at once: they write the same under the same name. */
  private async merge(): Promise<void> {
    const merged = this.sequence;
    const temporary = await this.write(encodeSnapshot({ recent: this.recent, records: this.records }));
    await rename(temporary, join(this.folder, fileName('snapshot', merged)));
    await this.syncFolder();
    this.base = merged;
    for (const name of await readdir(this.folder)) {
      const old = /^(segment|snapshot)-(\d+)$/.exec(name);
      if (old === null || Number(old[2]) > merged) continue;
      if (old[1] === 'snapshot' && Number(old[2]) === merged) continue;
      await unlink(join(this.folder, name)).catch((error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
      });
    }
  }

  /** Files of writers that died before they gave them a name. */
  private async removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.folder)) {
      if (!name.startsWith('new-')) continue;
      const path = join(this.folder, name);
      const age = await stat(path).then(({ mtimeMs }) => Date.now() - mtimeMs, () => 0);
      if (age > LEFTOVER_MS) await unlink(path).catch(() => {});
    }
  }
}
