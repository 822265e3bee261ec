import { StoreConflict, StoreError, checkChanges } from './store.ts';
import type { Change, Store, StoredRecord } from './store.ts';

const RECORDS = 'records';

interface Row extends StoredRecord {
  readonly name: string;
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function endOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('aborted'));
  });
}

/**
 * An IndexedDB database, for browsers. Tabs of one origin share it; each transaction is strict,
 * which means that the browser answers after it asked the disk to sync.
 */
export class IndexedDbStore implements Store {
  private closed = false;
  private readonly running = new Set<Promise<unknown>>();

  private constructor(private readonly database: IDBDatabase) {
    // Another tab deletes the database or brings a newer form of it: do not stand in its way.
    database.onversionchange = () => {
      this.closed = true;
      database.close();
    };
  }

  static async open(databaseName: string): Promise<IndexedDbStore> {
    const request = indexedDB.open(databaseName, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(RECORDS, { keyPath: 'name' });
    };
    try {
      return new IndexedDbStore(await answerOf(request));
    } catch (error) {
      throw unavailable(error);
    }
  }

  get(name: string): Promise<StoredRecord | undefined> {
    return this.run(async () => {
      const found = await answerOf<Row | undefined>(this.rows('readonly').get(name));
      return found && { version: found.version, value: found.value };
    });
  }

  list(prefix: string): Promise<string[]> {
    return this.run(async () => {
      const from = prefix === '' ? undefined : IDBKeyRange.lowerBound(prefix);
      const names = (await answerOf(this.rows('readonly').getAllKeys(from))) as string[];
      return names.filter((name) => name.startsWith(prefix));
    });
  }

  apply(changes: readonly Change[]): Promise<void> {
    return this.run(async () => {
      checkChanges(changes);
      const rows = this.rows('readwrite');
      const end = endOf(rows.transaction);
      end.catch(() => {}); // Somebody listens below, but perhaps not in time.
      let conflict: string | undefined;
      // Requests of one transaction are answered in order, and nothing else comes in between.
      for (const { name, expected } of changes) {
        const request = rows.get(name) as IDBRequest<Row | undefined>;
        request.onsuccess = () => {
          if (conflict !== undefined) return;
          if ((request.result?.version ?? 0) === expected) return;
          conflict = name;
          rows.transaction.abort();
        };
      }
      try {
        for (const { name, next } of changes) {
          if (next.kind === 'delete') rows.delete(name);
          if (next.kind === 'put') {
            rows.put({ name, version: next.version, value: next.value.slice() } satisfies Row);
          }
        }
        await end;
      } catch (error) {
        if (conflict !== undefined) throw new StoreConflict(conflict);
        abort(rows.transaction);
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.running);
    this.database.close();
  }

  private rows(mode: IDBTransactionMode): IDBObjectStore {
    return this.database.transaction(RECORDS, mode, { durability: 'strict' }).objectStore(RECORDS);
  }

  private async run<T>(step: () => Promise<T>): Promise<T> {
    if (this.closed) throw new StoreError('closed', 'the store is closed');
    const running = step();
    this.running.add(running);
    try {
      return await running;
    } catch (error) {
      if (error instanceof StoreError || error instanceof StoreConflict) throw error;
      throw unavailable(error);
    } finally {
      this.running.delete(running);
    }
  }
}

/** What was begun must not be committed in part. */
function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It had ended already.
  }
}

function unavailable(error: unknown): StoreError {
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new StoreError('unavailable', `the browser's storage cannot be used: ${why}`, {
    cause: error,
  });
}
