import { MAX_FILE_BYTES } from './chunks.ts';

/**
 * All that somebody needs to get a file. Whoever has it can read the file: it goes inside an
 * encrypted message and nowhere else.
 */
export interface AttachmentDescriptor {
  /** `attachments/{attachment}`. */
  readonly id: string;
  /** 32 bytes in hexadecimal digits. */
  readonly key: string;
  /** SHA-256 of what the server has, in hexadecimal digits. */
  readonly digest: string;
  /** Of the file. */
  readonly size: number;
  /** As its sender called it: show it as text, and never as a path. */
  readonly name: string;
  /** What its sender says it is, such as `image/jpeg`: a hint that may be wrong. */
  readonly mediaType: string;
}

/** In one message. */
export const MAX_ATTACHMENTS = 8;
/** In UTF-8. */
const MAX_NAME_BYTES = 255;
const MAX_MEDIA_TYPE_LENGTH = 127;

const ID = /^attachments\/[0-9a-f]{32}$/;
const HEX_32 = /^[0-9a-f]{64}$/;
// RFC 6838: type and subtype of restricted names, without parameters.
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/i;
// No path, and nothing that shows otherwise than it is: control, bidirectional-control and
// zero-width characters.
const NOT_IN_NAMES = /[/\\\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

export function isFileName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || NOT_IN_NAMES.test(name)) return false;
  return new TextEncoder().encode(name).length <= MAX_NAME_BYTES;
}

export function isMediaType(mediaType: string): boolean {
  return mediaType.length <= MAX_MEDIA_TYPE_LENGTH && MEDIA_TYPE.test(mediaType);
}

/** What somebody sent, if it is a descriptor; undefined for anything else. */
export function readDescriptor(read: unknown): AttachmentDescriptor | undefined {
  if (typeof read !== 'object' || read === null) return undefined;
  const { id, key, digest, size, name, mediaType } = read as Record<string, unknown>;
  if (typeof id !== 'string' || !ID.test(id)) return undefined;
  if (typeof key !== 'string' || !HEX_32.test(key)) return undefined;
  if (typeof digest !== 'string' || !HEX_32.test(digest)) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size)) return undefined;
  if (size < 0 || size > MAX_FILE_BYTES) return undefined;
  if (typeof name !== 'string' || !isFileName(name)) return undefined;
  if (typeof mediaType !== 'string' || !isMediaType(mediaType)) return undefined;
  return { id, key, digest, size, name, mediaType };
}

/** A list of them, at most 8; undefined when one is none. */
export function readDescriptors(read: unknown): readonly AttachmentDescriptor[] | undefined {
  if (!Array.isArray(read) || read.length > MAX_ATTACHMENTS) return undefined;
  const descriptors = read.map(readDescriptor);
  return descriptors.every((one) => one !== undefined) ? descriptors : undefined;
}
