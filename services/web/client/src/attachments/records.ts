// What is kept of an upload in the sealed store.
import { fromJsonBytes, toJsonBytes } from '../base/bytes.ts';
import type { Transaction } from '../store/sealed_store.ts';
import type { AttachmentDescriptor } from './descriptor.ts';

/** An upload, from before the server hears of it until its descriptor is on its way. */
export interface UploadRecord {
  readonly descriptor: AttachmentDescriptor;
  /** `conversations/{conversation}`. */
  readonly conversation: string;
  /**
   * SHA-256 of each encrypted chunk. A chunk that is encrypted again has to come out the same, or it
   * is not sent: a file that was changed meanwhile would else be encrypted under the same key and
   * nonces, which gives away both.
   */
  readonly chunks: readonly string[];
  /** The server has all of it and has checked it. */
  readonly finished: boolean;
  /** The caller's own, to find it by. */
  readonly mark?: string;
}

const UPLOAD = 'upload/';

export async function uploadOf(
  from: Pick<Transaction, 'get'>,
  id: string,
): Promise<UploadRecord | undefined> {
  const bytes = await from.get(UPLOAD + id);
  return bytes === undefined ? undefined : fromJsonBytes<UploadRecord>(bytes);
}

export function putUpload(transaction: Transaction, upload: UploadRecord): void {
  transaction.put(UPLOAD + upload.descriptor.id, toJsonBytes(upload));
}

/** For when its descriptor is in a message, in the transaction that keeps the message. */
export function deleteUpload(transaction: Transaction, id: string): void {
  transaction.delete(UPLOAD + id);
}

/** `attachments/{attachment}` of each upload that is kept. */
export async function uploadIds(store: {
  list(prefix: string): Promise<string[]>;
}): Promise<string[]> {
  return (await store.list(UPLOAD)).map((name) => name.slice(UPLOAD.length));
}
