import { readDescriptors } from '../attachments/descriptor.ts';
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { fromJsonBytes, toJsonBytes } from '../base/bytes.ts';

/** What an application message holds, once it is decrypted. */
export interface Content {
  /** The message id, so that nobody on the way can give a message another's. */
  readonly id: string;
  readonly text: string;
  /** Files that go with it; none where it is left out. */
  readonly attachments?: readonly AttachmentDescriptor[];
}

const FORMAT = 1;

export function encodeContent({ id, text, attachments = [] }: Content): Uint8Array {
  return toJsonBytes({ v: FORMAT, id, text, ...(attachments.length > 0 && { attachments }) });
}

/** Undefined for what is no content, or of a format that is newer than this library. */
export function decodeContent(bytes: Uint8Array): Content | undefined {
  let read: unknown;
  try {
    read = fromJsonBytes<unknown>(bytes);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const { v, id, text, attachments } = read as Record<string, unknown>;
  if (v !== FORMAT || typeof id !== 'string' || typeof text !== 'string') return undefined;
  if (attachments === undefined) return { id, text };
  const files = readDescriptors(attachments);
  return files && { id, text, attachments: files };
}
