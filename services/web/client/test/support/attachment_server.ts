// Messaging's AttachmentService in memory, as its comments say, with a wire that fails when told.
import { createHash } from 'node:crypto';

import { create } from '@bufbuild/protobuf';
import type {
  DescMessage,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';

import {
  AttachmentSchema,
  AttachmentService,
  AttachmentState,
  DeleteAttachmentResponseSchema,
  FetchAttachmentChunkResponseSchema,
  PutAttachmentChunkResponseSchema,
} from '../../src/api.ts';
import { HandrailError } from '../../src/index.ts';
import type { StatusCode, Transport } from '../../src/index.ts';

const CHUNK = 65_536;

interface Kept {
  readonly conversation: string;
  readonly size: number;
  readonly digest: string;
  readonly chunks: Map<number, Uint8Array>;
  state: AttachmentState;
}

export function refusal(code: StatusCode, reason: string, retryAfterMs?: number): HandrailError {
  return new HandrailError({ code, reason, message: reason, retryAfterMs });
}

export class AttachmentServer implements Transport {
  readonly kept = new Map<string, Kept>();
  /** The digest of every chunk that was ever sent, also where the answer was lost. */
  readonly sent: { id: string; index: number; bytes: string }[] = [];
  calls = 0;
  /** Chunks that are being put now, and the most that ever were at once. */
  underWay = 0;
  mostUnderWay = 0;
  /** Thrown after the call of this number took effect, or before it. */
  fail: (call: number, method: string) => 'before' | 'after' | HandrailError | undefined = () =>
    undefined;
  /** Given out in place of a chunk. */
  forge: (index: number, bytes: Uint8Array) => Uint8Array = (_, bytes) => bytes;

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const failure = this.fail(++this.calls, method.localName);
    if (failure === 'before') throw refusal('UNAVAILABLE', 'DATABASE_UNAVAILABLE');
    if (failure instanceof HandrailError) throw failure;
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    await new Promise((resolve) => setImmediate(resolve));
    --this.underWay;
    const answer = this.answer(method.localName, request as Record<string, never>);
    if (failure === 'after') throw refusal('UNAVAILABLE', 'OUTCOME_UNKNOWN');
    return answer as MessageShape<O>;
  }

  serverStream(): never {
    throw new Error('attachments have no streams');
  }
  reconnect(): void {}
  close(): void {}

  /** All that the server has of it, in order. */
  contentOf(id: string): Buffer {
    const chunks = [...this.get(id).chunks].sort(([a], [b]) => a - b);
    return Buffer.concat(chunks.map(([, bytes]) => bytes));
  }

  private get(id: string): Kept {
    const kept = this.kept.get(id);
    if (kept === undefined) throw refusal('NOT_FOUND', 'NOT_FOUND');
    return kept;
  }

  private attachment(name: string) {
    const { conversation, size, state, chunks } = this.get(name);
    const storedChunks = state === AttachmentState.READY ? [] : [...chunks.keys()].sort();
    return create(AttachmentSchema, {
      name,
      conversation,
      sizeBytes: BigInt(size),
      state,
      chunkBytes: CHUNK,
      chunkCount: Math.ceil(size / CHUNK),
      storedChunks,
    });
  }

  private answer(method: string, request: Record<string, never>): unknown {
    const { name, attachment, index, data } = request as unknown as {
      name: string;
      attachment: string;
      index: number;
      data: Uint8Array;
    };
    switch (method) {
      case AttachmentService.method.beginAttachment.localName:
        return this.begin(request);
      case AttachmentService.method.putAttachmentChunk.localName:
        this.put(attachment, index, data);
        return create(PutAttachmentChunkResponseSchema);
      case AttachmentService.method.finishAttachment.localName:
        return this.finish(name);
      case AttachmentService.method.fetchAttachmentChunk.localName:
        return create(FetchAttachmentChunkResponseSchema, { data: this.fetch(attachment, index) });
      case AttachmentService.method.deleteAttachment.localName:
        this.get(name);
        this.kept.delete(name);
        return create(DeleteAttachmentResponseSchema);
      default:
        throw new Error(`no method ${method}`);
    }
  }

  private begin(request: Record<string, never>) {
    const { conversation, attachmentId, sizeBytes, digest } = request as unknown as {
      conversation: string;
      attachmentId: string;
      sizeBytes: bigint;
      digest: Uint8Array;
    };
    const name = `attachments/${attachmentId}`;
    const known = this.kept.get(name);
    const wanted = Buffer.from(digest).toString('hex');
    if (known === undefined) {
      this.kept.set(name, {
        conversation,
        size: Number(sizeBytes),
        digest: wanted,
        chunks: new Map(),
        state: AttachmentState.UPLOADING,
      });
    } else if (known.digest !== wanted || known.size !== Number(sizeBytes)) {
      throw refusal('FAILED_PRECONDITION', 'REQUEST_ID_REUSED');
    }
    return this.attachment(name);
  }

  private put(id: string, index: number, data: Uint8Array): void {
    const bytes = createHash('sha256').update(data).digest('hex');
    this.sent.push({ id, index, bytes });
    const { chunks, size } = this.get(id);
    if (data.length !== Math.min(CHUNK, size - index * CHUNK)) {
      throw refusal('INVALID_ARGUMENT', 'FIELD_INVALID');
    }
    const known = chunks.get(index);
    if (known !== undefined && Buffer.compare(known, data) !== 0) {
      throw refusal('FAILED_PRECONDITION', 'REQUEST_ID_REUSED');
    }
    chunks.set(index, data.slice());
  }

  private finish(id: string) {
    const kept = this.get(id);
    if (kept.chunks.size < Math.ceil(kept.size / CHUNK)) {
      throw refusal('FAILED_PRECONDITION', 'ATTACHMENT_INCOMPLETE');
    }
    const digest = createHash('sha256').update(this.contentOf(id)).digest('hex');
    if (digest !== kept.digest) {
      this.kept.delete(id);
      throw refusal('FAILED_PRECONDITION', 'ATTACHMENT_DIGEST_WRONG');
    }
    kept.state = AttachmentState.READY;
    return this.attachment(id);
  }

  private fetch(id: string, index: number): Uint8Array {
    const { chunks, state } = this.get(id);
    const bytes = chunks.get(index);
    if (state !== AttachmentState.READY || bytes === undefined) {
      throw refusal('NOT_FOUND', 'NOT_FOUND');
    }
    return this.forge(index, bytes);
  }
}
