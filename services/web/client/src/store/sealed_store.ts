import { DEFAULT_COST, SealError, openDataKey, randomBytes, sealDataKey } from './passphrase.ts';
import type { KdfCost } from './passphrase.ts';
import { StoreConflict } from './store.ts';
import type { Change, Next, Store } from './store.ts';

/** Where the header lies, in the clear. */
const HEADER = 'sealed-store';
const RECORD_FORMAT = 1;
const NONCE_BYTES = 12;
const LABEL = 'handrail sealed record';
/** A conflict means that somebody else got on; so often in a row is no coincidence. */
const MAX_ATTEMPTS = 100;

const text = new TextEncoder();

/** Reads and writes of one transaction. Only good inside the function that it was given to. */
export interface Transaction {
  /** Sees what this transaction has put. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** A record that was not read before is replaced whatever it holds by then. */
  put(name: string, value: Uint8Array): void;
  delete(name: string): void;
}

export interface SealedStoreOptions {
  /** For a new header; an existing one says itself what it costs. */
  readonly cost?: KdfCost;
}

/** What a transaction knows of a record. */
interface Touched {
  readonly version: number;
  readonly value: Uint8Array | undefined;
  readonly next: Uint8Array | 'delete' | 'keep';
}

/**
 * A store whose values can be read with a passphrase alone. Each value is sealed with AES-256-GCM
 * under a random data key, bound to the record's name and version, so that no ciphertext passes for
 * another's; the data key lies under a key from the passphrase (Argon2id).
 *
 * What it does not hide or prevent: names, sizes and times of records; whoever can write to the
 * disk can delete a record or put all of an older one back; old values may stay on the disk.
 */
export class SealedStore {
  private constructor(
    private readonly store: Store,
    private readonly key: CryptoKey,
  ) {}

  /** Seals an empty store. SealError `exists` when it has a passphrase already. */
  static async create(
    store: Store,
    passphrase: string,
    { cost = DEFAULT_COST }: SealedStoreOptions = {},
  ): Promise<SealedStore> {
    const dataKey = randomBytes(32);
    const value = await sealDataKey(dataKey, passphrase, cost);
    try {
      await store.apply([{ name: HEADER, expected: 0, next: { kind: 'put', version: 1, value } }]);
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error;
      throw new SealError('exists', 'this store has a passphrase already', { cause: error });
    }
    return new SealedStore(store, await recordKey(dataKey));
  }

  /** SealError `missing` when nothing was sealed here yet, `wrong-passphrase`, `unsupported`. */
  static async unlock(store: Store, passphrase: string): Promise<SealedStore> {
    const header = await headerOf(store);
    return new SealedStore(store, await recordKey(await openDataKey(header.value, passphrase)));
  }

  /** Whether there is something to unlock. */
  static async exists(store: Store): Promise<boolean> {
    return (await store.get(HEADER)) !== undefined;
  }

  /**
   * The old passphrase is good for nothing from then on; who holds an old copy of the disk and the
   * old passphrase can still read with them. In one step: after a crash one of the two is good.
   */
  async changePassphrase(
    before: string,
    after: string,
    { cost = DEFAULT_COST }: SealedStoreOptions = {},
  ): Promise<void> {
    const header = await headerOf(this.store);
    const value = await sealDataKey(await openDataKey(header.value, before), after, cost);
    const next: Next = { kind: 'put', version: header.version + 1, value };
    await this.store.apply([{ name: HEADER, expected: header.version, next }]);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return (await this.read(name)).value;
  }

  /** Names are not secret, nor protected: get says whether there is such a record. */
  async list(prefix: string): Promise<string[]> {
    return (await this.store.list(prefix)).filter((name) => name !== HEADER);
  }

  /**
   * Runs `body` and applies what it put and deleted, all or nothing, provided that nothing it read
   * has been changed meanwhile; else it runs again. So `body` has no effect but through its
   * transaction. When it throws, nothing has changed.
   */
  async transact<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; ++attempt) {
      const touched = new Map<string, Touched>();
      try {
        const result = await this.run(body, touched);
        await this.store.apply(await this.changesOf(touched));
        return result;
      } catch (error) {
        if (!(error instanceof StoreConflict) || attempt >= MAX_ATTEMPTS) throw error;
      }
    }
  }

  /** Closes the store underneath. */
  close(): Promise<void> {
    return this.store.close();
  }

  /** What the body throws counts only when what it saw was of one moment. */
  private async run<T>(
    body: (transaction: Transaction) => Promise<T>,
    touched: Map<string, Touched>,
  ): Promise<T> {
    try {
      return await body(this.transactionOver(touched));
    } catch (error) {
      for (const [name, known] of touched) touched.set(name, { ...known, next: 'keep' });
      await this.store.apply(await this.changesOf(touched));
      throw error;
    }
  }

  private transactionOver(touched: Map<string, Touched>): Transaction {
    const pending = new Map<string, Touched['next']>();
    const change = (name: string, next: Uint8Array | 'delete') => {
      if (name === HEADER || name === '') throw new RangeError(`no name of a record: ${name}`);
      const known = touched.get(name);
      // A record that was not read is replaced whatever it holds; its version is asked for later.
      touched.set(name, { version: known?.version ?? -1, value: known?.value, next });
      pending.set(name, next);
    };
    return {
      get: async (name) => {
        const next = pending.get(name);
        if (next !== undefined) return next instanceof Uint8Array ? next : undefined;
        const known = touched.get(name) ?? { ...(await this.read(name)), next: 'keep' as const };
        // Two reads at once: the first counts.
        if (!touched.has(name)) touched.set(name, known);
        return known.value;
      },
      put: (name, value) => change(name, value.slice()),
      delete: (name) => change(name, 'delete'),
    };
  }

  private async changesOf(touched: ReadonlyMap<string, Touched>): Promise<Change[]> {
    const changes: Change[] = [];
    for (const [name, { version, next }] of touched) {
      const expected = version >= 0 ? version : ((await this.store.get(name))?.version ?? 0);
      if (next === 'keep') {
        changes.push({ name, expected, next: { kind: 'keep' } });
      } else if (next === 'delete') {
        if (expected > 0) changes.push({ name, expected, next: { kind: 'delete' } });
      } else {
        const wanted = expected > 0 ? expected + 1 : firstVersion();
        const value = await this.seal(name, wanted, next);
        changes.push({ name, expected, next: { kind: 'put', version: wanted, value } });
      }
    }
    return changes;
  }

  private async read(name: string): Promise<{ version: number; value: Uint8Array | undefined }> {
    const found = await this.store.get(name);
    if (found === undefined) return { version: 0, value: undefined };
    return { version: found.version, value: await this.open(name, found.version, found.value) };
  }

  private async seal(name: string, version: number, value: Uint8Array): Promise<Uint8Array> {
    const iv = randomBytes(NONCE_BYTES);
    const additionalData = boundTo(name, version);
    const plain = new Uint8Array(value);
    const ciphertext = await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData },
      this.key,
      plain,
    );
    const sealed = new Uint8Array(1 + NONCE_BYTES + ciphertext.byteLength);
    sealed[0] = RECORD_FORMAT;
    sealed.set(iv, 1);
    sealed.set(new Uint8Array(ciphertext), 1 + NONCE_BYTES);
    return sealed;
  }

  private async open(name: string, version: number, sealed: Uint8Array): Promise<Uint8Array> {
    if (sealed[0] !== RECORD_FORMAT) {
      throw new SealError('unsupported', `the record ${name} is of another version`);
    }
    const iv = sealed.slice(1, 1 + NONCE_BYTES);
    const ciphertext = sealed.slice(1 + NONCE_BYTES);
    const additionalData = boundTo(name, version);
    try {
      const how = { name: 'AES-GCM', iv, additionalData };
      return new Uint8Array(await crypto.subtle.decrypt(how, this.key, ciphertext));
    } catch (error) {
      const message = `the record ${name} is not what was sealed under this name and version`;
      throw new SealError('tampered', message, { cause: error });
    }
  }
}

/** A record that comes back after it was deleted does not meet its old versions again. */
function firstVersion(): number {
  const [high = 0, low = 0] = new Uint32Array(randomBytes(8).buffer);
  return 1 + (high % 2 ** 16) * 2 ** 32 + low;
}

/** The name cannot run into the version: its length comes first. */
function boundTo(name: string, version: number): Uint8Array<ArrayBuffer> {
  const named = text.encode(name);
  const label = text.encode(LABEL);
  const bound = new Uint8Array(label.length + 1 + 4 + named.length + 8);
  const view = new DataView(bound.buffer);
  bound.set(label);
  bound[label.length] = RECORD_FORMAT;
  view.setUint32(label.length + 1, named.length);
  bound.set(named, label.length + 5);
  view.setBigUint64(label.length + 5 + named.length, BigInt(version));
  return bound;
}

async function recordKey(raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
  raw.fill(0);
  return key;
}

async function headerOf(store: Store) {
  const header = await store.get(HEADER);
  if (header === undefined) throw new SealError('missing', 'this store has no passphrase yet');
  return header;
}
