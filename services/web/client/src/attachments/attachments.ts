import { sha256 } from '@noble/hashes/sha2.js';

import { fromHex, newRequestId, toHex } from '../base/bytes.ts';
import { tell } from '../base/telling.ts';
import { AttachmentService, AttachmentState } from '../gen/handrail/messaging/v1/attachment_pb.ts';
import type { Attachment } from '../gen/handrail/messaging/v1/attachment_pb.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import type { BackoffOptions } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';
import type { CallOptions, Transport } from '../transport/transport.ts';
import {
  CHUNK_BYTES,
  ChunkCipher,
  MAX_FILE_BYTES,
  PLAIN_CHUNK_BYTES,
  chunkCount,
  digestOf,
  plainChunkBytes,
  sealedBytes,
} from './chunks.ts';
import { isFileName, isMediaType } from './descriptor.ts';
import type { AttachmentDescriptor } from './descriptor.ts';
import { patiently } from './patience.ts';
import { deleteUpload, putUpload, uploadIds, uploadOf } from './records.ts';
import type { UploadRecord } from './records.ts';
import type { AttachmentSource } from './source.ts';

/**
 * `too-large` for an attachment; `changed` the file is not what it was when the upload began: give
 * the one that it was, or forget the upload; `gone` the server has thrown the upload away, or it is
 * not known here: upload the file anew; `damaged` what the server gave is not what was sent, and
 * what has been read of it must not be used.
 */
export type AttachmentFault = 'too-large' | 'changed' | 'gone' | 'damaged';

export class AttachmentError extends Error {
  constructor(
    readonly fault: AttachmentFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'AttachmentError';
  }
}

export interface AttachmentsOptions {
  /** A session: calls carry the device's token. */
  readonly transport: Transport;
  readonly store: SealedStore;
  readonly backoff?: BackoffOptions;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

/** What goes with a file. */
export interface FileInfo {
  /** `conversations/{conversation}`: whose members can fetch it. */
  readonly conversation: string;
  /** Without a path, at most 255 bytes. */
  readonly name: string;
  /** `application/octet-stream` unless told. */
  readonly mediaType?: string;
  /** The caller's own, kept with the upload: by it the upload is found again after a crash. */
  readonly mark?: string;
}

export interface TransferOptions {
  readonly signal?: AbortSignal;
  /** How many of its chunks are there. What it throws is dropped. */
  readonly onProgress?: (done: number, count: number) => void;
}

export interface DownloadOptions extends TransferOptions {
  /** The beginning of the file, from a download that stopped: as many whole chunks as were read. */
  readonly have?: AttachmentSource;
}

/** An upload that is under way, or finished and not in a message yet. */
export interface Upload {
  readonly descriptor: AttachmentDescriptor;
  readonly conversation: string;
  readonly finished: boolean;
  /** As in FileInfo. */
  readonly mark?: string;
}

/** Chunks on their way at once, each waiting for the server's disk. */
const PUTS_AT_ONCE = 4;
const { method } = AttachmentService;
const GONE = ['NOT_FOUND', 'REQUEST_ID_REUSED', 'ATTACHMENT_DIGEST_WRONG'];

/**
 * Files that travel beside messages, encrypted on this device. At most a few chunks are in memory.
 * What an upload needs is in the store before the server hears of it, so that it goes on after any
 * crash, of this device or of the server, with `resume`.
 */
export class Attachments {
  constructor(private readonly options: AttachmentsOptions) {}

  /**
   * Encrypts a file under a fresh key and uploads it. Give what comes back to Conversations.send;
   * that also ends what is kept of the upload. After an error, or a crash, `uploads` tells of it and
   * `resume` goes on, for a day. Errors: AttachmentError `too-large`, `changed`, `gone`; RangeError
   * for a name or media type that cannot be; those of the calls, such as ATTACHMENTS_FULL.
   */
  async upload(
    source: AttachmentSource,
    info: FileInfo,
    options: TransferOptions = {},
  ): Promise<AttachmentDescriptor> {
    const upload = await this.prepare(source, info);
    return this.send(upload, source, options);
  }

  /**
   * Goes on with an upload, given the same file again; one that is finished needs none. Errors: as
   * `upload`.
   */
  async resume(
    id: string,
    source: AttachmentSource | undefined,
    options: TransferOptions = {},
  ): Promise<AttachmentDescriptor> {
    const upload = await uploadOf(this.options.store, id);
    if (upload === undefined) throw new AttachmentError('gone', 'there is no such upload');
    if (upload.finished) return upload.descriptor;
    if (source === undefined || source.size !== upload.descriptor.size) {
      throw new AttachmentError('changed', 'this is not the file that the upload began with');
    }
    return this.send(upload, source, options);
  }

  /** Uploads that are under way, or finished and not in a message yet. */
  async uploads(): Promise<Upload[]> {
    const uploads: Upload[] = [];
    for (const id of await uploadIds(this.options.store)) {
      const upload = await uploadOf(this.options.store, id);
      if (upload === undefined) continue;
      const { chunks, ...told } = upload;
      uploads.push(told);
    }
    return uploads;
  }

  /**
   * Takes back what this person uploaded, finished or not: nobody can fetch it from then on. Does
   * nothing when it is gone. Errors: those of the call.
   */
  async remove(id: string, { signal }: TransferOptions = {}): Promise<void> {
    const { transport } = this.options;
    try {
      await this.call(() => transport.unary(method.deleteAttachment, { name: id }, toCall(signal)), signal);
    } catch (error) {
      if (!(error instanceof HandrailError) || error.reason !== 'NOT_FOUND') throw error;
    }
    await this.forget(id);
  }

  /**
   * The file, chunk by chunk, each checked before it is given. Only once the loop has ended without
   * an error was all of it what its sender sent. Errors: AttachmentError `damaged`; those of the
   * calls: NOT_FOUND when it is gone, CONVERSATION_CLOSED, DEVICE_NOT_IN_GROUP.
   */
  async *download(
    descriptor: AttachmentDescriptor,
    options: DownloadOptions = {},
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const { transport } = this.options;
    const { signal, onProgress, have } = options;
    const { id, size } = descriptor;
    const cipher = await ChunkCipher.create(fromHex(descriptor.key), size);
    const count = chunkCount(size);
    const whole = sha256.create();
    const first = Math.min(count, Math.floor((have?.size ?? 0) / PLAIN_CHUNK_BYTES));
    for (let index = 0; index < count; ++index) {
      if (have !== undefined && index < first) {
        // Sealed again it is what the server has: so what was kept is checked, too.
        const plain = await have.read(index * PLAIN_CHUNK_BYTES, plainChunkBytes(size, index));
        whole.update(await cipher.seal(index, plain));
        continue;
      }
      const request = { attachment: id, index };
      const { data } = await this.call(
        () => transport.unary(method.fetchAttachmentChunk, request, toCall(signal)),
        signal,
      );
      const plain = await cipher.open(index, data);
      if (plain === undefined || plain.length !== plainChunkBytes(size, index)) throw damaged();
      whole.update(data);
      // Before the last piece is given: with it somebody may think that they have all.
      if (index === count - 1 && toHex(whole.digest()) !== descriptor.digest) throw damaged();
      tell(onProgress, index + 1, count);
      yield plain;
    }
    if (first === count && toHex(whole.digest()) !== descriptor.digest) throw damaged();
  }

  /** Reads the file once, for the digests of what will be sent, and keeps them with the key. */
  private async prepare(source: AttachmentSource, info: FileInfo): Promise<UploadRecord> {
    const { conversation, name, mediaType = 'application/octet-stream', mark } = info;
    if (!isFileName(name)) throw new RangeError('a name without a path, of at most 255 bytes');
    if (!isMediaType(mediaType)) throw new RangeError('a media type such as image/jpeg');
    const { size } = source;
    if (size > MAX_FILE_BYTES) {
      throw new AttachmentError('too-large', `a file has at most ${MAX_FILE_BYTES} bytes`);
    }
    const key = ChunkCipher.newKey();
    const cipher = await ChunkCipher.create(key, size);
    const whole = sha256.create();
    const chunks: string[] = [];
    for (let index = 0; index < chunkCount(size); ++index) {
      const sealed = await sealedChunk(source, cipher, index);
      whole.update(sealed);
      chunks.push(await digestOf(sealed));
    }
    const id = `attachments/${newRequestId()}`;
    const digest = toHex(whole.digest());
    const descriptor = { id, key: toHex(key), digest, size, name, mediaType };
    const marked = mark !== undefined && { mark };
    const upload = { descriptor, conversation, chunks, finished: false, ...marked };
    await this.options.store.transact(async (transaction) => putUpload(transaction, upload));
    return upload;
  }

  private async send(
    upload: UploadRecord,
    source: AttachmentSource,
    { signal, onProgress }: TransferOptions,
  ): Promise<AttachmentDescriptor> {
    const { transport } = this.options;
    const { descriptor } = upload;
    const count = upload.chunks.length;
    try {
      const begun = await this.call(() => this.begin(upload, signal), signal);
      if (begun.state !== AttachmentState.READY) {
        const missing = upload.chunks.map((_, index) => index);
        for (const index of begun.storedChunks) missing[index] = -1;
        const left = missing.filter((index) => index >= 0);
        let done = count - left.length;
        tell(onProgress, done, count);
        await this.putAll(upload, source, left, signal, () => tell(onProgress, ++done, count));
        const request = { name: descriptor.id };
        await this.call(() => transport.unary(method.finishAttachment, request, toCall(signal)), signal);
      }
    } catch (error) {
      if (!(error instanceof HandrailError) || !GONE.includes(error.reason)) throw error;
      await this.forget(descriptor.id);
      const message = 'the server does not have this upload any more';
      throw new AttachmentError('gone', message, { cause: error });
    }
    const finished = { ...upload, finished: true };
    await this.options.store.transact(async (transaction) => putUpload(transaction, finished));
    return descriptor;
  }

  private async begin(
    { descriptor, conversation }: UploadRecord,
    signal: AbortSignal | undefined,
  ): Promise<Attachment> {
    const begun = await this.options.transport.unary(
      method.beginAttachment,
      {
        conversation,
        attachmentId: descriptor.id.slice('attachments/'.length),
        sizeBytes: BigInt(sealedBytes(descriptor.size)),
        digest: fromHex(descriptor.digest),
      },
      toCall(signal),
    );
    if (begun.chunkBytes === CHUNK_BYTES) return begun;
    throw new HandrailError({ code: 'INTERNAL', message: 'the server wants other chunks' });
  }

  /** Puts these chunks, a few at a time; stops at the first error. */
  private async putAll(
    upload: UploadRecord,
    source: AttachmentSource,
    left: readonly number[],
    signal: AbortSignal | undefined,
    onPut: () => void,
  ): Promise<void> {
    const { transport } = this.options;
    const { descriptor, chunks } = upload;
    const cipher = await ChunkCipher.create(fromHex(descriptor.key), descriptor.size);
    const queue = left.values();
    let failed = false;
    const work = async () => {
      for (const index of queue) {
        if (failed) return;
        const data = await sealedChunk(source, cipher, index);
        if ((await digestOf(data)) !== chunks[index]) {
          throw new AttachmentError('changed', 'the file was changed since the upload began');
        }
        const request = { attachment: descriptor.id, index, data };
        await this.call(() => transport.unary(method.putAttachmentChunk, request, toCall(signal)), signal);
        onPut();
      }
    };
    const guarded = () =>
      work().catch((error: unknown) => {
        failed = true;
        throw error;
      });
    const all = await Promise.allSettled(Array.from({ length: PUTS_AT_ONCE }, guarded));
    const bad = all.find((one) => one.status === 'rejected');
    if (bad !== undefined) throw bad.reason;
  }

  private call<T>(make: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const { backoff, random } = this.options;
    return patiently(make, { signal, backoff, random });
  }

  private forget(id: string): Promise<void> {
    return this.options.store.transact(async (transaction) => deleteUpload(transaction, id));
  }
}

function toCall(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

/** A chunk of the file, encrypted. `changed` when the file has become shorter. */
async function sealedChunk(
  source: AttachmentSource,
  cipher: ChunkCipher,
  index: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = plainChunkBytes(source.size, index);
  const plain = await source.read(index * PLAIN_CHUNK_BYTES, length);
  if (plain.length === length) return cipher.seal(index, plain);
  throw new AttachmentError('changed', 'the file became shorter while it was read');
}

function damaged(): AttachmentError {
  return new AttachmentError('damaged', 'this is not what was sent');
}
