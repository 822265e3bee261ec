import { timestampMs } from '@bufbuild/protobuf/wkt';
import { sha256 } from '@noble/hashes/sha2.js';

import { fromHex, fromJsonBytes, toHex, toJsonBytes } from '../base/bytes.ts';
import type { DeviceKey } from '../engine/engine.ts';
import { DeviceLogKind, KeyService } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import type { DeviceLogEntry } from '../gen/handrail/messaging/v1/key_service_pb.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';
import type { Transport } from '../transport/transport.ts';
import { pinDevice } from './device_trust.ts';
import type { ConversationsHandler, DeviceLogFault } from './events.ts';
import type { Reader } from './records.ts';

/** A device as its member's log tells of it. */
export interface LoggedDevice {
  /** `devices/{device}`. */
  readonly device: string;
  /** Its Ed25519 key, in hexadecimal digits. */
  readonly publicKey: string;
  /** Milliseconds since 1970, as the server says. */
  readonly added: number;
  readonly removed?: number;
}

/** What is kept of a member's log: enough to see whether what comes continues it. */
export interface DeviceLogRecord {
  readonly index: string;
  /** Of the newest entry, in hexadecimal digits. */
  readonly hash: string;
  /** Milliseconds since 1970: when it was read last and was found whole. */
  readonly seen: number;
  /** In the order in which they came. */
  readonly devices: readonly LoggedDevice[];
  readonly broken?: DeviceLogFault;
}

/** Something that cannot be if the log only ever grows. */
class Broken {
  constructor(readonly fault: DeviceLogFault) {}
}

const LOG = 'device-log/';
const LABEL = 'handrail device log v1\0';
const HASH_BYTES = 32;
/** Of the year 9999. */
const LAST_SECOND = 253_402_300_799n;
const PAGE_SIZE = 200;
/** 20,000 entries: nobody has so many devices. */
const MAX_PAGES = 100;

const NOTHING: DeviceLogRecord = {
  index: '0',
  hash: '00'.repeat(HASH_BYTES),
  seen: 0,
  devices: [],
};

async function recordIn(from: Reader, member: string): Promise<DeviceLogRecord | undefined> {
  const bytes = await from.get(LOG + member);
  return bytes === undefined ? undefined : fromJsonBytes<DeviceLogRecord>(bytes);
}

/** The 16 bytes of a resource's id. */
function idBytes(name: string, collection: string): Uint8Array {
  const digits = name.startsWith(`${collection}/`) ? name.slice(collection.length + 1) : '';
  if (!/^[0-9a-f]{32}$/.test(digits)) throw new Broken('malformed');
  return fromHex(digits);
}

/** What an entry's hash is of, as DeviceLogEntry in the API has it. */
export function deviceLogHash(member: string, entry: DeviceLogEntry): Uint8Array {
  const { index, kind, device, publicKey, createTime, previousHash } = entry;
  if (publicKey.length !== HASH_BYTES || previousHash.length !== HASH_BYTES || !createTime) {
    throw new Broken('malformed');
  }
  const { seconds, nanos } = createTime;
  const micros = nanos / 1000;
  const isTime = seconds >= 0n && seconds <= LAST_SECOND && micros >= 0 && micros < 1_000_000;
  if (!isTime || !Number.isInteger(micros)) throw new Broken('malformed');
  const numbers = new DataView(new ArrayBuffer(16));
  numbers.setBigInt64(0, index);
  numbers.setBigInt64(8, seconds * 1_000_000n + BigInt(micros));
  const bytes = new Uint8Array(numbers.buffer);
  const hash = sha256.create().update(new TextEncoder().encode(LABEL));
  hash.update(idBytes(member, 'members')).update(bytes.subarray(0, 8));
  hash.update(Uint8Array.of(kind)).update(idBytes(device, 'devices')).update(publicKey);
  return hash.update(bytes.subarray(8)).update(previousHash).digest();
}

/** The log with the next entry; Broken when it is not the next one. */
function continued(member: string, log: DeviceLogRecord, entry: DeviceLogEntry): DeviceLogRecord {
  const hash = toHex(deviceLogHash(member, entry));
  if (hash !== toHex(entry.hash)) throw new Broken('malformed');
  const next = entry.index === BigInt(log.index) + 1n;
  if (!next || toHex(entry.previousHash) !== log.hash) throw new Broken('rewritten');
  const { device } = entry;
  const publicKey = toHex(entry.publicKey);
  const time = entry.createTime === undefined ? 0 : timestampMs(entry.createTime);
  const live = (one: LoggedDevice) => one.device === device && one.removed === undefined;
  const known = log.devices.some(live);
  let { devices } = log;
  if (entry.kind === DeviceLogKind.ADDED && !known) {
    devices = [...devices, { device, publicKey, added: time }];
  } else if (entry.kind === DeviceLogKind.REVOKED && known) {
    devices = devices.map((one) => (live(one) ? { ...one, removed: time } : one));
  } else {
    throw new Broken('malformed');
  }
  return { ...log, index: entry.index.toString(), hash, devices };
}

const present = ({ devices }: DeviceLogRecord) =>
  devices.filter(({ removed }) => removed === undefined).map(({ device }) => device);

export interface DeviceLogsOptions {
  readonly transport: Transport;
  readonly store: SealedStore;
  /** The own one: of it only its own key is taken. */
  readonly deviceKey: Pick<DeviceKey, 'device' | 'publicKey'>;
  readonly handler: Pick<ConversationsHandler, 'devicesChanged' | 'deviceLogBroken'>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * The device logs of people. Of each the newest entry is remembered; what the server tells later has
 * to continue it, so that a device that came once cannot be made not to have come. The key in the
 * log is the one that a device must have in every group (DeviceTrust).
 */
export class DeviceLogs {
  private readonly transport: Transport;
  private readonly store: SealedStore;
  private readonly own: DeviceLogsOptions['deviceKey'];
  private readonly handler: DeviceLogsOptions['handler'];
  private readonly now: () => number;

  constructor({ transport, store, deviceKey, handler, now = Date.now }: DeviceLogsOptions) {
    this.transport = transport;
    this.store = store;
    this.own = deviceKey;
    this.handler = handler;
    this.now = now;
  }

  /** What is known of a member's devices; undefined before `look`. */
  known(member: string): Promise<DeviceLogRecord | undefined> {
    return recordIn(this.store, member);
  }

  /**
   * Reads what came to a member's log and tells the handler what that changed, or that the log is
   * not the one that was read before; each once, and of what was there at the first look nothing.
   * Gives what is known then. Errors: those of the call; NOT_FOUND for who shares no open
   * conversation with this person.
   */
  async look(member: string): Promise<DeviceLogRecord> {
    const before = (await this.known(member)) ?? NOTHING;
    try {
      const after = await this.read(member, before);
      return await this.store.transact((transaction) =>
        this.keep(transaction, member, before, after),
      );
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      return this.store.transact((transaction) => this.broke(transaction, member, error.fault));
    }
  }

  private async read(member: string, from: DeviceLogRecord): Promise<DeviceLogRecord> {
    let log = from;
    for (let page = 0; page < MAX_PAGES; ++page) {
      const afterIndex = BigInt(log.index);
      const request = { member, afterIndex, pageSize: PAGE_SIZE };
      const answer = await this.transport.unary(KeyService.method.listDeviceLog, request);
      if (answer.headIndex < afterIndex) throw new Broken('shortened');
      for (const entry of answer.entries) log = continued(member, log, entry);
      if (answer.headIndex === BigInt(log.index)) {
        if (toHex(answer.headHash) !== log.hash) throw new Broken('rewritten');
        return log;
      }
      if (answer.entries.length === 0) throw new Broken('malformed');
    }
    throw new Broken('malformed');
  }

  /** Another tab may have read the same meanwhile, and told of it. */
  private async keep(
    transaction: Transaction,
    member: string,
    before: DeviceLogRecord,
    after: DeviceLogRecord,
  ): Promise<DeviceLogRecord> {
    const known = await recordIn(transaction, member);
    if ((known ?? NOTHING).index !== before.index) return known ?? NOTHING;
    for (const { device, publicKey } of after.devices) {
      const own = device === this.own.device;
      const same = own
        ? publicKey === toHex(this.own.publicKey)
        : await pinDevice(transaction, device, publicKey);
      if (!same) return this.broke(transaction, member, 'other-key');
    }
    const { broken, ...whole } = after;
    // What was found once stays said until a person does something about it.
    const kept = { ...whole, ...(broken && { broken }), seen: this.now() };
    transaction.put(LOG + member, toJsonBytes(kept));
    const [was, is] = [present(before), present(after)];
    const added = is.filter((device) => !was.includes(device));
    const removed = was.filter((device) => !is.includes(device));
    // What could not be read at the first look was not seen before.
    if (before.seen > 0 && added.length + removed.length > 0) {
      const change = { member, since: before.seen, added, removed };
      await this.handler.devicesChanged?.(transaction, change);
    }
    return kept;
  }

  private async broke(
    transaction: Transaction,
    member: string,
    fault: DeviceLogFault,
  ): Promise<DeviceLogRecord> {
    const known = (await recordIn(transaction, member)) ?? NOTHING;
    if (known.broken === fault) return known;
    const kept = { ...known, broken: fault };
    transaction.put(LOG + member, toJsonBytes(kept));
    await this.handler.deviceLogBroken?.(transaction, { member, fault });
    return kept;
  }
}
