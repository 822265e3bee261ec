/** A record as a store keeps it. */
export interface StoredRecord {
  /** Chosen by who wrote it: a positive safe integer, greater than that of what it replaced. */
  readonly version: number;
  readonly value: Uint8Array;
}

/** What should become of a record. */
export type Next =
  | { readonly kind: 'put'; readonly version: number; readonly value: Uint8Array }
  | { readonly kind: 'delete' }
  /** Nothing, but the other changes only happen if it still is as expected. */
  | { readonly kind: 'keep' };

export interface Change {
  /** 1 to 512 characters. */
  readonly name: string;
  /** The version that the record has now; 0 when there must be none. */
  readonly expected: number;
  readonly next: Next;
}

/**
 * Named records on one machine, shared by several tabs or processes. What is applied is on disk
 * when the promise resolves, whole or not at all, also through a crash or a power cut.
 */
export interface Store {
  get(name: string): Promise<StoredRecord | undefined>;
  /** The names that begin with `prefix`, in order of their UTF-16 code units. */
  list(prefix: string): Promise<string[]>;
  /**
   * All of the changes or none: a StoreConflict when a record is not as expected, and then nothing
   * has changed. No name twice, at most 1,000 changes.
   */
  apply(changes: readonly Change[]): Promise<void>;
  /** Waits for what was begun. No call may follow. */
  close(): Promise<void>;
}

/** A record was changed by somebody else since it was read. Read again and decide anew. */
export class StoreConflict extends Error {
  constructor(readonly record: string) {
    super(`the record ${record} was changed meanwhile`);
    this.name = 'StoreConflict';
  }
}

/**
 * `damaged` what is on disk is not what was written; `unavailable` the disk or the browser refuses;
 * `closed` a call after close; `invalid` changes that no caller may ask for; `unknown` a write of
 * which nobody can say whether it took place: open the store again and look.
 */
export type StoreFault = 'damaged' | 'unavailable' | 'closed' | 'invalid' | 'unknown';

export class StoreError extends Error {
  constructor(
    readonly fault: StoreFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'StoreError';
  }
}

export const MAX_CHANGES = 1000;
export const MAX_NAME_LENGTH = 512;

/** Refuses changes that make no sense, the same in every store. */
export function checkChanges(changes: readonly Change[]): void {
  const invalid = (message: string) => new StoreError('invalid', message);
  if (changes.length > MAX_CHANGES) throw invalid(`more than ${MAX_CHANGES} changes at once`);
  const names = new Set<string>();
  for (const { name, expected, next } of changes) {
    if (name.length === 0 || name.length > MAX_NAME_LENGTH) throw invalid('a name of no length');
    if (names.has(name)) throw invalid(`two changes of ${name}`);
    names.add(name);
    if (!Number.isSafeInteger(expected) || expected < 0) throw invalid('no version to expect');
    if (next.kind !== 'put') continue;
    if (!Number.isSafeInteger(next.version) || next.version <= expected) {
      throw invalid('a version that does not grow');
    }
  }
}
