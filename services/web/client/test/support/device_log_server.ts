// A server that keeps device logs, as told, and lies as told.
import { createHash } from 'node:crypto';

import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';

import { DeviceLogEntrySchema, DeviceLogKind, ListDeviceLogResponseSchema } from '../../src/api.ts';
import type { DeviceLogEntry } from '../../src/api.ts';
import type { Transport } from '../../src/index.ts';

const bytesOf = (name: string) => Buffer.from(name.replace(/^[a-z]+\//, ''), 'hex');

/** Written from the words in the API alone. */
export function hashOf(member: string, entry: DeviceLogEntry): Buffer {
  const number = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  };
  const { seconds, nanos } = entry.createTime!;
  return createHash('sha256')
    .update('handrail device log v1\0', 'latin1')
    .update(bytesOf(member))
    .update(number(entry.index))
    .update(Buffer.of(entry.kind))
    .update(bytesOf(entry.device))
    .update(entry.publicKey)
    .update(number(seconds * 1_000_000n + BigInt(nanos) / 1000n))
    .update(entry.previousHash)
    .digest();
}

export class DeviceLogServer {
  entries: DeviceLogEntry[] = [];
  pageSize = 100;
  calls = 0;
  private time = 1_767_225_600_000;

  constructor(readonly member: string) {}

  add(kind: 'added' | 'revoked', device: string, publicKey: Uint8Array): this {
    const previousHash = this.entries.at(-1)?.hash ?? new Uint8Array(32);
    const entry = create(DeviceLogEntrySchema, {
      index: BigInt(this.entries.length + 1),
      kind: kind === 'added' ? DeviceLogKind.ADDED : DeviceLogKind.REVOKED,
      device,
      publicKey,
      createTime: timestampFromMs((this.time += 1000)),
      previousHash,
    });
    entry.hash = hashOf(this.member, entry);
    this.entries.push(entry);
    return this;
  }

  /** Makes hashes and indexes whole again after entries were changed. */
  mendHashes(): this {
    let previousHash: Uint8Array = new Uint8Array(32);
    this.entries.forEach((entry, i) => {
      entry.index = BigInt(i + 1);
      entry.previousHash = previousHash;
      entry.hash = hashOf(this.member, entry);
      previousHash = entry.hash;
    });
    return this;
  }

  /** Only ListDeviceLog may be called. */
  get transport(): Transport {
    const unary = async (_: unknown, { afterIndex }: { afterIndex: bigint }) => {
      this.calls += 1;
      const after = this.entries.filter(({ index }) => index > afterIndex);
      const head = this.entries.at(-1);
      return create(ListDeviceLogResponseSchema, {
        entries: after.slice(0, this.pageSize),
        headIndex: head?.index ?? 0n,
        headHash: head?.hash ?? new Uint8Array(32),
      });
    };
    return { unary } as unknown as Transport;
  }
}
