import { MAX_ATTACHMENTS, readDescriptors } from '../attachments/descriptor.ts';
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { deleteUpload } from '../attachments/records.ts';
import { newRequestId } from '../base/bytes.ts';
import type { Inbox } from '../delivery/inbox.ts';
import { MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { HandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { ConversationError } from './events.ts';
import { outboxOf, putOutbox } from './records.ts';
import type { Steps } from './steps.ts';

/** In UTF-8. With its encryption a message stays far below the server's 64 KiB. */
export const MAX_TEXT_BYTES = 16 << 10;
const MAX_WAITING = 100;
/** The group moved on by more than four epochs so often while one message was on its way. */
const MAX_TRIES = 5;

/** Nothing is taken in this conversation any more. Whatever was sent before keeps its place. */
const REFUSALS = ['CONVERSATION_CLOSED', 'NOT_FOUND'];

export interface SendOptions {
  /** Files that were uploaded before, at most 8. */
  readonly attachments?: readonly AttachmentDescriptor[];
  /** An id (newRequestId) of the caller's own, under which the same is said again after a crash. */
  readonly id?: string | undefined;
}

export interface OutboxOptions {
  readonly transport: Transport;
  readonly store: SealedStore;
  readonly inbox: Pick<Inbox, 'fetch'>;
  readonly steps: Steps;
}

/**
 * What this device says. A message is in the store before it is encrypted, and its encrypted bytes
 * before they are sent; they are sent under its id until the server has said that it has them.
 */
export class Outbox {
  constructor(private readonly options: OutboxOptions) {}

  /**
   * Keeps a message to be sent and gives its id. What is kept of its files' uploads goes. One that
   * waits under this id already stays as it is.
   */
  async add(conversation: string, text: string, options: SendOptions = {}): Promise<string> {
    const { attachments = [], id: messageId = newRequestId() } = options;
    if (!/^[0-9a-f]{32}$/.test(messageId)) {
      throw new RangeError('a message id is 32 hexadecimal digits');
    }
    if (readDescriptors(attachments) === undefined) {
      throw new RangeError(`a message has at most ${MAX_ATTACHMENTS} attachments`);
    }
    if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) {
      throw new RangeError(`a message has at most ${MAX_TEXT_BYTES} bytes`);
    }
    await this.options.store.transact(async (transaction) => {
      const entries = await outboxOf(transaction, conversation);
      if (entries.some((entry) => entry.messageId === messageId)) return;
      if (entries.length >= MAX_WAITING) {
        throw new ConversationError('outbox-full', 'too many messages wait to be sent');
      }
      const files = attachments.length > 0 && { attachments };
      putOutbox(transaction, conversation, [...entries, { messageId, text, ...files }]);
      for (const { id } of attachments) deleteUpload(transaction, id);
    });
    return messageId;
  }

  /** Whether something waits to be sent. */
  async waits(conversation: string): Promise<boolean> {
    const entries = await outboxOf(this.options.store, conversation);
    return entries.some(({ sequence }) => sequence === undefined);
  }

  /** Runs a step, after whose failure it may be clear that nothing will ever be sent. */
  async orRefuse(conversation: string, step: () => Promise<unknown>): Promise<void> {
    const { store, steps } = this.options;
    try {
      await step();
    } catch (error) {
      const final = error instanceof HandrailError && REFUSALS.includes(error.reason);
      if (!final) throw error;
      await store.transact((transaction) => steps.refuse(transaction, conversation, error.reason));
    }
  }

  /** Sends what waits, in order. Stops, without an error, where there is no group to send to. */
  async flush(conversation: string): Promise<void> {
    const { store, steps, inbox } = this.options;
    for (let refusals = 0; ; ) {
      const next = await store.transact((transaction) =>
        steps.nextToSend(transaction, conversation),
      );
      if (next === undefined) return;
      const sequence = await this.send(conversation, next);
      if (sequence !== undefined) {
        await store.transact((transaction) =>
          steps.placed(transaction, conversation, next.messageId, sequence),
        );
        refusals = 0;
        continue;
      }
      if (++refusals >= MAX_TRIES) {
        throw new ConversationError('contended', 'the group changed each time');
      }
      await inbox.fetch(conversation);
      await store.transact((transaction) => steps.again(transaction, conversation, next));
    }
  }

  /** Its place; 0 when only its echo will tell; undefined when it must be encrypted again. */
  private async send(
    conversation: string,
    { messageId, message }: { readonly messageId: string; readonly message: Uint8Array },
  ): Promise<bigint | undefined> {
    try {
      const answer = await this.options.transport.unary(MessagingService.method.sendMessage, {
        conversation,
        messageId,
        payload: message,
      });
      return answer.sequence;
    } catch (error) {
      if (!(error instanceof HandrailError)) throw error;
      // These bytes were refused once, and others under this id were on their way.
      if (error.reason === 'REQUEST_ID_REUSED') return 0n;
      if (['EPOCH_CONFLICT', 'GROUP_MISMATCH'].includes(error.reason)) return undefined;
      throw error;
    }
  }
}
