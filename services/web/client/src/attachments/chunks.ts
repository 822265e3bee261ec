// A file encrypted chunk by chunk, so that it never has to be in memory as a whole and every chunk
// can be checked before anything is made of it.
//
// The construction is STREAM of Hoang, Reyhanitabar, Rogaway and Vizár ("Online
// Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015, nOAE2), over
// AES-256-GCM: the nonce of a chunk is a counter and a flag that only the last one has, so chunks
// can be neither swapped, left out nor cut off at the end. As in age (age-encryption.org/v1) there is
// no nonce prefix and the counter takes 11 bytes, because each file has a fresh random key that
// encrypts nothing else. Beyond STREAM, format, index and number of chunks are associated data.
import { toHex } from '../base/bytes.ts';

/** What the server takes at once. */
export const CHUNK_BYTES = 64 << 10;
const TAG_BYTES = 16;
/** What of a file is in a chunk. */
export const PLAIN_CHUNK_BYTES = CHUNK_BYTES - TAG_BYTES;
export const MAX_CHUNKS = 160;
/** The largest file: 10 MiB with its encryption. */
export const MAX_FILE_BYTES = MAX_CHUNKS * PLAIN_CHUNK_BYTES;

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const LABEL = new TextEncoder().encode('handrail attachment');
const FORMAT = 1;

/** A file of no bytes has one chunk, too: also that nothing was in it is authentic. */
export function chunkCount(fileBytes: number): number {
  return Math.max(1, Math.ceil(fileBytes / PLAIN_CHUNK_BYTES));
}

/** Of the file's own bytes in the chunk at `index`. */
export function plainChunkBytes(fileBytes: number, index: number): number {
  return Math.min(PLAIN_CHUNK_BYTES, fileBytes - index * PLAIN_CHUNK_BYTES);
}

/** Of all chunks together, encrypted. */
export function sealedBytes(fileBytes: number): number {
  return fileBytes + chunkCount(fileBytes) * TAG_BYTES;
}

/** Seals and opens the chunks of one file. */
export class ChunkCipher {
  private constructor(
    private readonly key: CryptoKey,
    private readonly count: number,
  ) {}

  /** A key for one file and nothing else: 32 random bytes. */
  static newKey(): Uint8Array<ArrayBuffer> {
    return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  }

  static async create(key: Uint8Array<ArrayBuffer>, fileBytes: number): Promise<ChunkCipher> {
    const usages: KeyUsage[] = ['encrypt', 'decrypt'];
    const imported = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, usages);
    return new ChunkCipher(imported, chunkCount(fileBytes));
  }

  async seal(index: number, plain: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(plain);
    return new Uint8Array(await crypto.subtle.encrypt(this.how(index), this.key, bytes));
  }

  /** Undefined when it is not this file's chunk of this index, whole and unchanged. */
  async open(index: number, sealed: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const bytes = new Uint8Array(sealed);
    try {
      return new Uint8Array(await crypto.subtle.decrypt(this.how(index), this.key, bytes));
    } catch {
      return undefined;
    }
  }

  private how(index: number): AesGcmParams {
    const iv = new Uint8Array(NONCE_BYTES);
    new DataView(iv.buffer).setUint32(NONCE_BYTES - 5, index);
    iv[NONCE_BYTES - 1] = index === this.count - 1 ? 1 : 0;
    const additionalData = new Uint8Array(LABEL.length + 9);
    additionalData.set(LABEL);
    const view = new DataView(additionalData.buffer, LABEL.length);
    view.setUint8(0, FORMAT);
    view.setUint32(1, index);
    view.setUint32(5, this.count);
    return { name: 'AES-GCM', iv, additionalData };
  }
}

/** SHA-256 in hexadecimal digits. */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
