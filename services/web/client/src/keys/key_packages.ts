import { fromHex, fromJsonBytes, newRequestId, toHex, toJsonBytes } from '../base/bytes.ts';
import { KEY_PACKAGE_LIFETIME_SECONDS } from '../engine/engine.ts';
import type { DeviceKey, E2eeEngine } from '../engine/engine.ts';
import { KeyService } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import type { KeyPackageCount } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';
import { HandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';

/** What is known of every package of ours without its secrets. */
interface Entry {
  /** KeyPackageRef in hexadecimal digits. */
  readonly reference: string;
  /** Seconds since 1970. */
  readonly made: number;
  readonly kind: 'single' | 'last-resort';
  /** `prepared`: kept here, and perhaps the server has it. */
  readonly state: 'prepared' | 'published';
}

interface Kept {
  readonly message: string;
  readonly secret: string;
}

/** That somebody replenishes. */
interface Turn {
  /** Seconds since 1970. */
  readonly until: number;
  /** Whose turn it is: nobody else ends it. */
  readonly holder: string;
}

const INDEX = 'key-packages';
const TURN = 'key-packages-turn';
const recordOf = (reference: string) => `key-package/${reference}`;

/** What the server takes in one call, and what its limit of bytes for a request has room for. */
const PUBLISH_AT_ONCE = 100;
/** A peer's clock may be behind, and a Welcome may be on its way. */
const KEEP_AFTER_EXPIRY_SECONDS = 7 * 24 * 60 * 60;
/** A last-resort package is replaced when half of its time is over. */
const RENEW_LAST_RESORT_SECONDS = KEY_PACKAGE_LIFETIME_SECONDS / 2;
/** Others are counted for as long as they are good for these two weeks. */
const RENEW_BEFORE_SECONDS = 14 * 24 * 60 * 60;
/** The server takes none that ends within the hour. */
const TOO_LATE_SECONDS = 2 * 60 * 60;
/** What the server keeps of a device. */
const MOST = 200;
/** Who replenishes and says nothing for so long has stopped. */
const TURN_SECONDS = 60;

export interface KeyPackagesOptions {
  /** A session: calls carry the device's token. */
  readonly transport: Transport;
  readonly store: SealedStore;
  readonly engine: Pick<E2eeEngine, 'createKeyPackage'>;
  /** Whose packages they are: Session.deviceKey. */
  readonly deviceKey: DeviceKey;
  /** Seconds since 1970. */
  readonly now?: () => number;
  /** So many are kept at the server, 1 to 200; 100 unless told. */
  readonly target?: number;
}

async function indexIn(transaction: Transaction): Promise<Entry[]> {
  const bytes = await transaction.get(INDEX);
  return bytes === undefined ? [] : fromJsonBytes<Entry[]>(bytes);
}

function putIndex(transaction: Transaction, entries: readonly Entry[]): void {
  transaction.put(INDEX, toJsonBytes(entries));
}

async function turnIn(transaction: Transaction): Promise<Turn | undefined> {
  const bytes = await transaction.get(TURN);
  if (bytes === undefined) return undefined;
  const kept = fromJsonBytes<Turn | number>(bytes);
  // As it was kept before it had a holder.
  return typeof kept === 'number' ? { until: kept, holder: '' } : kept;
}

/**
 * The key packages of this device, with which others add it to a conversation while it is away.
 *
 * A package is in the store with its private half before the server hears of it, so that no Welcome
 * can come that cannot be opened. Whatever crashes, `refill` goes on where it was: the server knows
 * each package by its reference and takes it once.
 */
export class KeyPackages {
  private readonly transport: Transport;
  private readonly store: SealedStore;
  private readonly engine: Pick<E2eeEngine, 'createKeyPackage'>;
  private readonly deviceKey: DeviceKey;
  private readonly now: () => number;
  private readonly target: number;
  private refilling: Promise<KeyPackageCount> | undefined;

  constructor(options: KeyPackagesOptions) {
    this.transport = options.transport;
    this.store = options.store;
    this.engine = options.engine;
    this.deviceKey = options.deviceKey;
    this.now = options.now ?? (() => Math.floor(Date.now() / 1000));
    this.target = options.target ?? PUBLISH_AT_ONCE;
    if (!Number.isInteger(this.target) || this.target < 1 || this.target > 200) {
      throw new RangeError('target is 1 to 200');
    }
  }

  /**
   * Deletes what has run out, publishes what was prepared, and fills up to the target where the
   * server has less than half of it that is good for two weeks more, or says that it is low; sees to
   * the last-resort package. Call it after signing in; `Conversations.run` does the rest. Several
   * calls at once are one. Gives what the server has then. Errors: those of the calls; repeat it
   * later.
   */
  refill(): Promise<KeyPackageCount> {
    this.refilling ??= this.refillNow().finally(() => {
      this.refilling = undefined;
    });
    return this.refilling;
  }

  /**
   * The same, for when the server says that few are left and for once a day: of the tabs and
   * programs that share the store one does it. False when another is at it.
   */
  async replenish(): Promise<boolean> {
    const now = this.now();
    const holder = newRequestId();
    const ours = await this.store.transact(async (transaction) => {
      const until = (await turnIn(transaction))?.until ?? 0;
      // Not for ever, should the clock have been set back.
      if (until > now && until <= now + TURN_SECONDS) return false;
      const turn: Turn = { until: now + TURN_SECONDS, holder };
      transaction.put(TURN, toJsonBytes(turn));
      return true;
    });
    if (!ours) return false;
    try {
      await this.refill();
      return true;
    } finally {
      await this.store.transact(async (transaction) => {
        // Of who slept for longer than a turn lasts it may be another's by now.
        if ((await turnIn(transaction))?.holder === holder) transaction.delete(TURN);
      });
    }
  }

  /**
   * The private half for a Welcome that names these references (E2eeEngine.welcomed); undefined
   * when none of them is of this device, or it was used or ran out.
   */
  async secretFor(
    transaction: Transaction,
    references: readonly Uint8Array[],
  ): Promise<{ readonly reference: Uint8Array; readonly secret: Uint8Array } | undefined> {
    for (const reference of references) {
      const kept = await transaction.get(recordOf(toHex(reference)));
      if (kept === undefined) continue;
      return { reference, secret: fromHex(fromJsonBytes<Kept>(kept).secret) };
    }
    return undefined;
  }

  /**
   * Deletes a package that let this device in, in the transaction that keeps the group's state. A
   * last-resort one stays until it runs out: others may be using it.
   */
  async spend(transaction: Transaction, reference: Uint8Array): Promise<void> {
    const used = toHex(reference);
    const entries = await indexIn(transaction);
    const entry = entries.find((known) => known.reference === used);
    if (entry === undefined || entry.kind === 'last-resort') return;
    transaction.delete(recordOf(used));
    putIndex(
      transaction,
      entries.filter((known) => known !== entry),
    );
  }

  private async refillNow(): Promise<KeyPackageCount> {
    await this.deleteExpired();
    await this.publishPrepared();
    const count = await this.count();
    const lasting = Math.min(count.available, await this.lasting());
    const wanted = count.low || lasting < this.target / 2;
    const room = Math.max(0, MOST - count.available);
    const singles = wanted ? Math.min(room, Math.max(0, this.target - lasting)) : 0;
    const needsLastResort = !count.hasLastResort || (await this.lastResortIsOld());
    if (singles === 0 && !needsLastResort) return count;
    await this.prepare(singles, needsLastResort);
    await this.publishPrepared();
    return this.count();
  }

  private async count(): Promise<KeyPackageCount> {
    const { count } = await this.transport.unary(KeyService.method.countKeyPackages, {});
    if (count !== undefined) return count;
    throw new HandrailError({ code: 'INTERNAL', message: 'the answer holds no count' });
  }

  private deleteExpired(): Promise<void> {
    const before = this.now() - KEY_PACKAGE_LIFETIME_SECONDS - KEEP_AFTER_EXPIRY_SECONDS;
    return this.store.transact(async (transaction) => {
      const entries = await indexIn(transaction);
      const expired = entries.filter(({ made }) => made < before);
      if (expired.length === 0) return;
      for (const { reference } of expired) transaction.delete(recordOf(reference));
      putIndex(
        transaction,
        entries.filter((entry) => !expired.includes(entry)),
      );
    });
  }

  /** How many of those that nobody has used, as far as is known here, last for a while. */
  private async lasting(): Promise<number> {
    const oldest = this.now() - KEY_PACKAGE_LIFETIME_SECONDS + RENEW_BEFORE_SECONDS;
    return this.store.transact(async (transaction) => {
      const entries = await indexIn(transaction);
      return entries.filter(({ kind, made }) => kind === 'single' && made > oldest).length;
    });
  }

  private async lastResortIsOld(): Promise<boolean> {
    const oldest = this.now() - RENEW_LAST_RESORT_SECONDS;
    return this.store.transact(async (transaction) => {
      const entries = await indexIn(transaction);
      return !entries.some(({ kind, made }) => kind === 'last-resort' && made >= oldest);
    });
  }

  private async prepare(singles: number, lastResort: boolean): Promise<void> {
    const made: { entry: Entry; kept: Kept }[] = [];
    for (let i = 0; i < singles + (lastResort ? 1 : 0); ++i) {
      const { reference, message, secret } = await this.engine.createKeyPackage(this.deviceKey);
      const entry: Entry = {
        reference: toHex(reference),
        made: this.now(),
        kind: i < singles ? 'single' : 'last-resort',
        state: 'prepared',
      };
      made.push({ entry, kept: { message: toHex(message), secret: toHex(secret) } });
    }
    await this.store.transact(async (transaction) => {
      const entries = await indexIn(transaction);
      for (const { entry, kept } of made) {
        transaction.put(recordOf(entry.reference), toJsonBytes(kept));
      }
      putIndex(transaction, [...entries, ...made.map(({ entry }) => entry)]);
    });
  }

  /** Publishes what is prepared; stops, without an error, when the server has no room for more. */
  private async publishPrepared(): Promise<void> {
    for (;;) {
      const batch = await this.nextBatch();
      if (batch.entries.length === 0) return;
      try {
        await this.transport.unary(KeyService.method.publishKeyPackages, batch.request);
      } catch (error) {
        if (error instanceof HandrailError && error.reason === 'QUEUE_FULL') return;
        throw error;
      }
      await this.markPublished(batch.entries);
    }
  }

  private nextBatch() {
    return this.store.transact(async (transaction) => {
      const oldest = this.now() - KEY_PACKAGE_LIFETIME_SECONDS + TOO_LATE_SECONDS;
      const prepared = (await indexIn(transaction)).filter(
        ({ state, made }) => state === 'prepared' && made > oldest,
      );
      const singles = prepared.filter(({ kind }) => kind === 'single').slice(0, PUBLISH_AT_ONCE);
      // One that was prepared later replaces those before it, in the order of the index.
      const lastResort = prepared.find(({ kind }) => kind === 'last-resort');
      const messageOf = async ({ reference }: Entry) => {
        const kept = await transaction.get(recordOf(reference));
        if (kept === undefined) throw new Error(`the key package ${reference} is not in the store`);
        return fromHex(fromJsonBytes<Kept>(kept).message);
      };
      const keyPackages: Uint8Array[] = [];
      for (const entry of singles) keyPackages.push(await messageOf(entry));
      const request = {
        keyPackages,
        ...(lastResort && { lastResort: await messageOf(lastResort) }),
      };
      return { entries: lastResort ? [...singles, lastResort] : singles, request };
    });
  }

  private markPublished(published: readonly Entry[]): Promise<void> {
    const done = new Set(published.map(({ reference }) => reference));
    return this.store.transact(async (transaction) => {
      const entries = await indexIn(transaction);
      putIndex(
        transaction,
        entries.map((entry) =>
          done.has(entry.reference) ? { ...entry, state: 'published' } : entry,
        ),
      );
    });
  }
}
