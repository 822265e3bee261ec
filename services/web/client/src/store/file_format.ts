import { createHash } from 'node:crypto';

import { StoreError } from './store.ts';
import type { Change, StoredRecord } from './store.ts';

/** One transaction on disk. */
export interface Segment {
  /** Told apart by this, should two have had the same number. */
  readonly id: string;
  readonly changes: readonly Change[];
}

/** All records after a transaction. */
export interface Snapshot {
  /** The ids of the last transactions, the newest last. */
  readonly recent: readonly string[];
  readonly records: ReadonlyMap<string, StoredRecord>;
}

const encode = (value: Uint8Array): string =>
  Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
const decode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

/** A line with the SHA-256 of the rest, then the rest as JSON. */
function frame(content: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(content));
  return Buffer.concat([Buffer.from(`${createHash('sha256').update(json).digest('hex')}\n`), json]);
}

function unframe(bytes: Buffer, file: string): unknown {
  const sum = createHash('sha256').update(bytes.subarray(65)).digest('hex');
  if (bytes.length < 65 || bytes.toString('latin1', 0, 65) !== `${sum}\n`) {
    throw new StoreError('damaged', `${file} is not what was written`);
  }
  return JSON.parse(bytes.toString('utf8', 65));
}

type Row = readonly [name: string, version: number, value: string];

export function encodeSegment({ id, changes }: Segment): Buffer {
  const put: Row[] = [];
  const gone: string[] = [];
  for (const { name, next } of changes) {
    if (next.kind === 'put') put.push([name, next.version, encode(next.value)]);
    if (next.kind === 'delete') gone.push(name);
  }
  return frame({ id, put, gone });
}

/** What is read back: how to change the records, and nothing of what was expected. */
export function readSegment(
  bytes: Buffer,
  file: string,
): { id: string; apply: (records: Map<string, StoredRecord>) => void } {
  const { id, put, gone } = unframe(bytes, file) as { id: string; put: Row[]; gone: string[] };
  return {
    id,
    apply: (records) => {
      for (const name of gone) records.delete(name);
      for (const [name, version, value] of put) {
        records.set(name, { version, value: decode(value) });
      }
    },
  };
}

export function encodeSnapshot({ recent, records }: Snapshot): Buffer {
  const rows = [...records].map(([name, { version, value }]): Row => [name, version, encode(value)]);
  return frame({ recent, rows });
}

export function readSnapshot(bytes: Buffer, file: string): Snapshot {
  const { recent, rows } = unframe(bytes, file) as { recent: string[]; rows: Row[] };
  const records = new Map(
    rows.map(([name, version, value]) => [name, { version, value: decode(value) }]),
  );
  return { recent, records };
}
