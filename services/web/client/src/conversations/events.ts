import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import type { RefusalReason } from '../engine/engine.ts';
import type { Conversation, Envelope, Gap } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { Transaction } from '../store/sealed_store.ts';

/** Something that somebody said. */
export interface TextMessage {
  /** `conversations/{conversation}`. */
  readonly conversation: string;
  readonly sequence: bigint;
  /** The sender's id for it. */
  readonly messageId: string;
  /** `members/{member}`, as the server says. */
  readonly sender: string;
  /** `devices/{device}`, by whose key it was signed. */
  readonly senderDevice: string;
  readonly text: string;
  /** Files that go with it, for Attachments.download. */
  readonly attachments?: readonly AttachmentDescriptor[];
  /**
   * Conversations.report can show that this was said. False for what commits to nothing, as what
   * older apps sent, or to something else than it says: an app may tell its reader.
   */
  readonly reportable: boolean;
  /** Milliseconds since 1970, as the server says. */
  readonly time: number;
}

/** What this device said, once it has its place. */
export interface SentMessage {
  readonly conversation: string;
  /** 0 in the rare case that only its echo would have told, and the person has left before. */
  readonly sequence: bigint;
  readonly messageId: string;
  readonly text: string;
  readonly attachments?: readonly AttachmentDescriptor[];
}

/** What this device wanted to say and the server will never take. */
export interface RefusedMessage {
  readonly conversation: string;
  readonly messageId: string;
  readonly text: string;
  readonly attachments?: readonly AttachmentDescriptor[];
  /** `CONVERSATION_CLOSED`, or `NOT_FOUND` when the conversation is not this person's any more. */
  readonly reason: string;
}

/**
 * Why a message could not be read: `not-encrypted` it is of a time before there was a group;
 * `before-joining` this device was let in later; `unknown-content` something that this library does
 * not know; `own` this device sent it and no longer knows what it was; the rest as in EngineError.
 */
export type UnreadableReason =
  | 'not-encrypted'
  | 'before-joining'
  | 'unknown-content'
  | 'own'
  | RefusalReason;

/** A message that cannot be read, now or ever. */
export interface UnreadableMessage {
  readonly envelope: Envelope;
  readonly reason: UnreadableReason;
}

/** The devices of somebody in one's conversations are others than when it was last looked. */
export interface DevicesChange {
  /** `members/{member}`. */
  readonly member: string;
  /** When that was: milliseconds since 1970. */
  readonly since: number;
  /** `devices/{device}`. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/**
 * What a member's device log is not: `shortened` entries that were read are gone; `rewritten` it
 * does not continue what was read; `other-key` a device has another key there than it has shown;
 * `malformed` an entry does not fit its own hash, or makes no sense.
 */
export type DeviceLogFault = 'shortened' | 'rewritten' | 'other-key' | 'malformed';

export interface BrokenDeviceLog {
  /** `members/{member}`. */
  readonly member: string;
  readonly fault: DeviceLogFault;
}

/**
 * What becomes of what comes. All but the last two run in the transaction that moves the cursor,
 * keeps the group's state or empties the outbox, and may run again when another tab wrote at the
 * same time: they have no effect but through the transaction. What they throw ends the inbox, with
 * nothing stored.
 */
export interface ConversationsHandler {
  /** Each once, in the order of the conversation. */
  message(transaction: Transaction, message: TextMessage): Promise<void>;
  /** What this device said takes its place among the others. */
  sent?(transaction: Transaction, message: SentMessage): Promise<void>;
  /** It is for the person to decide what becomes of it. */
  refused?(transaction: Transaction, message: RefusedMessage): Promise<void>;
  unreadable?(transaction: Transaction, message: UnreadableMessage): Promise<void>;
  /** Messages that are gone at the server and that this device will never see. */
  gap?(transaction: Transaction, gap: Gap): Promise<void>;
  /** Somebody came or went, or somebody's keys changed; also when this device was let in or out. */
  groupChanged?(transaction: Transaction, conversation: string): Promise<void>;
  /** Somebody has a new device, or one less, whether or not it can read yet. */
  devicesChanged?(transaction: Transaction, change: DevicesChange): Promise<void>;
  /**
   * The server has changed what it said of somebody's devices, or somebody who stands between has.
   * To be told to the person in plain words: what is said may be read by others, until the two have
   * compared the digits of their conversation.
   */
  deviceLogBroken?(transaction: Transaction, broken: BrokenDeviceLog): Promise<void>;
  conversationChanged?(conversation: Conversation): Promise<void>;
  /** All that was stored when the stream began has been handled. */
  caughtUp?(): Promise<void>;
}

/**
 * Why something cannot be done now: `nobody-ready` no device of anybody else has published a key
 * package; `not-in-group` another device has to let this one in, which it does by itself;
 * `contended` others changed the group each time; `outbox-full` 100 messages wait.
 */
export type ConversationFault = 'nobody-ready' | 'not-in-group' | 'contended' | 'outbox-full';

export class ConversationError extends Error {
  constructor(
    readonly fault: ConversationFault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'ConversationError';
  }
}
