import type { Change, Store, StoredRecord } from '../../src/store/store.ts';

/** When a crash happens: with the write on disk, or without. */
export type CrashMoment = 'before' | 'after';

export class Crash extends Error {
  constructor() {
    super('the app crashed');
  }
}

/** A store whose app crashes at one of its writes; nothing is read or written from then on. */
export class CrashingStore implements Store {
  /** Writes since it was armed. */
  writes = 0;
  crashed = false;
  private at = Infinity;
  private moment: CrashMoment = 'before';

  constructor(private readonly store: Store) {}

  /** Crashes at the write of this number, from 1. */
  arm(at: number, moment: CrashMoment): void {
    this.writes = 0;
    this.at = at;
    this.moment = moment;
  }

  async get(name: string): Promise<StoredRecord | undefined> {
    this.check();
    return this.store.get(name);
  }

  async list(prefix: string): Promise<string[]> {
    this.check();
    return this.store.list(prefix);
  }

  async apply(changes: readonly Change[]): Promise<void> {
    this.check();
    // What only makes sure that nothing has changed leaves nothing behind to crash between.
    if (changes.every(({ next }) => next.kind === 'keep')) return this.store.apply(changes);
    this.writes += 1;
    if (this.writes !== this.at) return this.store.apply(changes);
    if (this.moment === 'after') await this.store.apply(changes);
    this.crashed = true;
    throw new Crash();
  }

  close(): Promise<void> {
    return this.store.close();
  }

  private check(): void {
    if (this.crashed) throw new Crash();
  }
}
