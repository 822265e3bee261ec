import { argon2idAsync } from '@noble/hashes/argon2.js';

import { fromHex, toHex } from '../base/bytes.ts';

/** What the store is told when it cannot be opened. */
export type SealFault =
  /** The passphrase is not the one, or the header was tampered with: the two look the same. */
  | 'wrong-passphrase'
  /** A record is not what was sealed under this name and version. */
  | 'tampered'
  /** Written by a newer version of this library. */
  | 'unsupported'
  /** There is a sealed store already, or there is none. */
  | 'exists'
  | 'missing'
  /** Too short to be of use. */
  | 'weak-passphrase';

export class SealError extends Error {
  constructor(
    readonly fault: SealFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'SealError';
  }
}

/** Cost of Argon2id (RFC 9106). */
export interface KdfCost {
  readonly memoryKib: number;
  readonly passes: number;
}

/** OWASP's first choice for Argon2id: 46 MiB, one pass, one lane. About a second. */
export const DEFAULT_COST: KdfCost = { memoryKib: 47_104, passes: 1 };

export const MIN_PASSPHRASE_LENGTH = 8;

/** What is kept in the clear: how the key is made, and the data key under it. */
interface Header {
  readonly format: 'handrail-sealed-store';
  readonly version: 1;
  readonly kdf: 'argon2id';
  readonly memoryKib: number;
  readonly passes: number;
  readonly salt: string;
  readonly nonce: string;
  readonly sealedKey: string;
}

// Beyond, a header that was tampered with could take all memory of the machine.
const MAX_MEMORY_KIB = 1024 * 1024;
const MAX_PASSES = 64;

const text = new TextEncoder();
export const randomBytes = (length: number): Uint8Array<ArrayBuffer> =>
  crypto.getRandomValues(new Uint8Array(length));

/** All of the header but the key itself, which is bound to it. */
function boundTo(header: Omit<Header, 'sealedKey'>): Uint8Array<ArrayBuffer> {
  const { format, version, kdf, memoryKib, passes, salt, nonce } = header;
  return text.encode(JSON.stringify([format, version, kdf, memoryKib, passes, salt, nonce]));
}

async function passphraseKey(
  passphrase: string,
  { memoryKib, passes, salt }: Pick<Header, 'memoryKib' | 'passes' | 'salt'>,
): Promise<CryptoKey> {
  // The same passphrase may be typed as different code points on another keyboard.
  const typed = text.encode(passphrase.normalize('NFKC'));
  const cost = { t: passes, m: memoryKib, p: 1, dkLen: 32 };
  const raw = new Uint8Array(await argon2idAsync(typed, fromHex(salt), cost));
  const key = await crypto.subtle.importKey('raw', raw, 'AES-GCM', false, ['encrypt', 'decrypt']);
  raw.fill(0);
  return key;
}

function parseHeader(bytes: Uint8Array): Header {
  const unsupported = (why: string) =>
    new SealError('unsupported', `this store cannot be read: ${why}`);
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Header;
  } catch (error) {
    throw new SealError('tampered', 'the header of the store is damaged', { cause: error });
  }
  if (header.format !== 'handrail-sealed-store') throw unsupported('another format');
  if (header.version !== 1) throw unsupported(`version ${String(header.version)}`);
  if (header.kdf !== 'argon2id') throw unsupported('another way from passphrase to key');
  const within = (value: number, most: number) =>
    Number.isSafeInteger(value) && value >= 1 && value <= most;
  const sane =
    within(header.memoryKib, MAX_MEMORY_KIB) &&
    within(header.passes, MAX_PASSES) &&
    /^[0-9a-f]{32}$/.test(header.salt) &&
    /^[0-9a-f]{24}$/.test(header.nonce) &&
    /^[0-9a-f]{96}$/.test(header.sealedKey);
  if (!sane) throw new SealError('tampered', 'the header of the store is damaged');
  return header;
}

/** Puts a data key (32 bytes) under a passphrase. */
export async function sealDataKey(
  dataKey: Uint8Array<ArrayBuffer>,
  passphrase: string,
  cost: KdfCost,
): Promise<Uint8Array> {
  if ([...passphrase].length < MIN_PASSPHRASE_LENGTH) {
    const message = `a passphrase has at least ${MIN_PASSPHRASE_LENGTH} characters`;
    throw new SealError('weak-passphrase', message);
  }
  const nonce = randomBytes(12);
  const header = {
    format: 'handrail-sealed-store',
    version: 1,
    kdf: 'argon2id',
    memoryKib: cost.memoryKib,
    passes: cost.passes,
    salt: toHex(randomBytes(16)),
    nonce: toHex(nonce),
  } as const;
  const key = await passphraseKey(passphrase, header);
  const how = { name: 'AES-GCM', iv: nonce, additionalData: boundTo(header) };
  const sealedKey = toHex(new Uint8Array(await crypto.subtle.encrypt(how, key, dataKey)));
  return text.encode(JSON.stringify({ ...header, sealedKey } satisfies Header));
}

/** The data key again; SealError with `wrong-passphrase`, `tampered` or `unsupported`. */
export async function openDataKey(
  headerBytes: Uint8Array,
  passphrase: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const header = parseHeader(headerBytes);
  const key = await passphraseKey(passphrase, header);
  const additionalData = boundTo(header);
  const how = { name: 'AES-GCM', iv: fromHex(header.nonce), additionalData };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, key, fromHex(header.sealedKey)));
  } catch (error) {
    const message = 'this is not the passphrase of this store';
    throw new SealError('wrong-passphrase', message, { cause: error });
  }
}
