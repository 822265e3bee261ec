import { StoreConflict, StoreError, checkChanges } from '../../src/store/store.ts';
import type { Change, Store, StoredRecord } from '../../src/store/store.ts';

/** Records in memory, for thousands of devices that need no disk. */
export class MemoryStore implements Store {
  private closed = false;

  /** Stores over the same records are several users of one place. */
  constructor(private readonly records = new Map<string, StoredRecord>()) {}

  async get(name: string): Promise<StoredRecord | undefined> {
    this.check();
    const record = this.records.get(name);
    return record && { ...record, value: record.value.slice() };
  }

  async list(prefix: string): Promise<string[]> {
    this.check();
    return [...this.records.keys()].filter((name) => name.startsWith(prefix)).sort();
  }

  async apply(changes: readonly Change[]): Promise<void> {
    this.check();
    checkChanges(changes);
    for (const { name, expected } of changes) {
      if ((this.records.get(name)?.version ?? 0) !== expected) throw new StoreConflict(name);
    }
    for (const { name, next } of changes) {
      if (next.kind === 'delete') this.records.delete(name);
      if (next.kind !== 'put') continue;
      this.records.set(name, { version: next.version, value: next.value.slice() });
    }
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  private check(): void {
    if (this.closed) throw new StoreError('closed', 'the store is closed');
  }
}
