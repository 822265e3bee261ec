// How a message commits to its content, so that who receives it can report it: what is encrypted is
// a byte of version, a franking key made for this message alone, and the content; the message's
// authenticated data is a byte of version and HMAC-SHA256 of the content under that key. Nobody can
// find another content or key for the same commitment, which AES-GCM alone would not prevent.
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

const VERSION = 1;
const KEY_BYTES = 32;

/** What a message showed of its commitment. */
export interface Commitment {
  readonly key: Uint8Array;
  readonly commitment: Uint8Array;
}

export interface Opened {
  readonly content: Uint8Array;
  /** Where the commitment is to this very content. */
  readonly franking?: Commitment;
}

/** What is encrypted, and the authenticated data beside it. Each time under another key. */
export function frank(content: Uint8Array): {
  readonly plaintext: Uint8Array;
  readonly authenticatedData: Uint8Array;
} {
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const plaintext = new Uint8Array([VERSION, ...key, ...content]);
  const authenticatedData = new Uint8Array([VERSION, ...hmac(sha256, key, content)]);
  return { plaintext, authenticatedData };
}

/** The content of what was decrypted. Of a message that commits to nothing it is all of it. */
export function openFranked(plaintext: Uint8Array, authenticatedData: Uint8Array): Opened {
  if (plaintext[0] !== VERSION || plaintext.length < 1 + KEY_BYTES) return { content: plaintext };
  const key = plaintext.slice(1, 1 + KEY_BYTES);
  const content = plaintext.slice(1 + KEY_BYTES);
  const commitment = authenticatedData.slice(1);
  const ours = hmac(sha256, key, content);
  // Nothing here is secret from who holds the message: no time is given away.
  const opens =
    authenticatedData[0] === VERSION &&
    commitment.length === ours.length &&
    commitment.every((byte, i) => byte === ours[i]);
  return opens ? { content, franking: { key, commitment } } : { content };
}
