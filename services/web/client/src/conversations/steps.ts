import { timestampMs } from '@bufbuild/protobuf/wkt';
import { sha256 } from '@noble/hashes/sha2.js';

import { fromHex, toHex } from '../base/bytes.ts';
import { EngineError } from '../engine/engine.ts';
import type { E2eeEngine, Received } from '../engine/engine.ts';
import { EnvelopeKind } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { Envelope, Gap, Welcome } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { KeyPackages } from '../keys/key_packages.ts';
import type { Transaction } from '../store/sealed_store.ts';
import { decodeContent, encodeContent } from './content.ts';
import type { ConversationsHandler, UnreadableReason } from './events.ts';
import { frank, openFranked } from './franking.ts';
import {
  deleteClaim,
  deletePending,
  groupOf,
  outboxOf,
  pendingOf,
  putGroup,
  putOutbox,
  putPending,
} from './records.ts';
import type { FailedCommit, GroupRecord, OutboxEntry, PendingRecord } from './records.ts';
import { keepEvidence } from './reports.ts';

export interface StepsOptions {
  readonly engine: E2eeEngine;
  readonly keyPackages: Pick<KeyPackages, 'secretFor' | 'spend'>;
  /** `devices/{device}`, the own one. */
  readonly device: string;
  readonly handler: ConversationsHandler;
}

/** What became of a Welcome. `known`: this device is in the group already. */
export type Welcomed = 'joined' | 'known' | 'no-key-package' | EngineError;

/**
 * What happens to a conversation's records, each in one transaction of the caller, so that a crash
 * finds it done or not begun.
 */
export class Steps {
  constructor(private readonly options: StepsOptions) {}

  /** Takes what was delivered. */
  async envelope(transaction: Transaction, envelope: Envelope): Promise<void> {
    const { conversation, senderDevice, kind } = envelope;
    await this.acceptBefore(transaction, envelope);
    // Not for this device any more: who said it and this person are blocked.
    if (envelope.payload.length === 0) return;
    if (senderDevice === this.options.device) return this.echo(transaction, envelope);
    if (kind === EnvelopeKind.UNSPECIFIED) {
      return this.unreadable(transaction, envelope, 'not-encrypted');
    }
    const group = await groupOf(transaction, conversation);
    if (group === undefined || envelope.sequence <= group.joined) {
      return this.unreadable(transaction, envelope, 'before-joining');
    }
    // Whichever commit ends an epoch, another one of the same epoch has lost.
    if (kind === EnvelopeKind.COMMIT) {
      await this.dropPending(transaction, conversation, (lost) => {
        return lost.epoch === envelope.epoch && lost.sequence === undefined;
      });
    }
    let received: Received;
    try {
      received = await this.options.engine.receive(group.state, envelope.payload);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return this.refused(transaction, envelope, group, error);
    }
    if (received.kind !== 'application') {
      const standing = received.view.active ? 'in' : 'removed';
      putGroup(transaction, conversation, { ...group, state: received.state, standing });
      if (received.kind === 'commit') await this.changed(transaction, conversation);
      return;
    }
    putGroup(transaction, conversation, { ...group, state: received.state });
    await this.application(transaction, envelope, received);
  }

  /**
   * Lets this device into a group by a Welcome. Where that fails the server counts it in all the
   * same: it is lost, and can come back by itself.
   */
  async welcome(transaction: Transaction, welcome: Welcome): Promise<Welcomed> {
    const { engine, keyPackages } = this.options;
    const { conversation, sequence } = welcome;
    const known = await groupOf(transaction, conversation);
    if (known !== undefined && sequence <= known.joined) return 'known';
    const lost: GroupRecord = { state: new Uint8Array(), joined: sequence, standing: 'lost' };
    try {
      const references = engine.welcomed(welcome.welcome);
      const own = await keyPackages.secretFor(transaction, references);
      if (own === undefined) {
        putGroup(transaction, conversation, lost);
        return 'no-key-package';
      }
      const state = await engine.join(welcome.welcome, own.secret);
      await keyPackages.spend(transaction, own.reference);
      putGroup(transaction, conversation, { state, joined: sequence, standing: 'in' });
      // What this device wanted to change was of another group, or of another time.
      await this.dropPending(transaction, conversation, () => true);
      deleteClaim(transaction, conversation);
      await this.encryptAnew(transaction, conversation);
      await this.changed(transaction, conversation);
      return 'joined';
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      putGroup(transaction, conversation, lost);
      return error;
    }
  }

  /** What is gone cannot come back as an echo. */
  async gap(transaction: Transaction, gap: Gap): Promise<void> {
    const { conversation, firstSequence, lastSequence } = gap;
    const kept: OutboxEntry[] = [];
    const outbox = await outboxOf(transaction, conversation);
    for (const entry of outbox) {
      const sequence = BigInt(entry.sequence ?? 0);
      if (sequence < firstSequence || sequence > lastSequence) kept.push(entry);
      else await this.sent(transaction, conversation, sequence, entry);
    }
    if (kept.length < outbox.length) putOutbox(transaction, conversation, kept);
    await this.options.handler.gap?.(transaction, gap);
  }

  /**
   * The commit that founds a group has its place. With the one that it ends goes what is still
   * unread of that: so it is accepted when that was read, by its echo or before what comes after.
   */
  async founded(
    transaction: Transaction,
    conversation: string,
    commitId: string,
    sequence: bigint,
  ): Promise<void> {
    const pending = await pendingOf(transaction, conversation);
    if (pending?.commitId !== commitId) return;
    putPending(transaction, conversation, { ...pending, sequence: sequence.toString() });
  }

  /** The place after which this device reads, where it came into the group late or again. */
  async readsAfter(transaction: Transaction, conversation: string): Promise<bigint> {
    const joined = (await groupOf(transaction, conversation))?.joined ?? 0n;
    const founded = BigInt((await pendingOf(transaction, conversation))?.sequence ?? 0);
    return founded > joined ? founded : joined;
  }

  /**
   * The group moves on by this device's own commit, which has its place. Does nothing when it has
   * done so before.
   */
  async accept(
    transaction: Transaction,
    conversation: string,
    commitId: string,
    sequence: bigint,
  ): Promise<boolean> {
    const pending = await pendingOf(transaction, conversation);
    if (pending?.commitId !== commitId) return false;
    const before = await groupOf(transaction, conversation);
    const joined = pending.joins || before === undefined ? sequence : before.joined;
    putGroup(transaction, conversation, { state: pending.state, joined, standing: 'in' });
    if (pending.joins) await this.encryptAnew(transaction, conversation);
    deletePending(transaction, conversation);
    deleteClaim(transaction, conversation);
    await this.changed(transaction, conversation);
    return true;
  }

  /** This person has left: what opens the conversation goes, and nothing is sent there any more. */
  async left(transaction: Transaction, conversation: string): Promise<void> {
    const group = await groupOf(transaction, conversation);
    deletePending(transaction, conversation);
    deleteClaim(transaction, conversation);
    await this.refuse(transaction, conversation, 'CONVERSATION_CLOSED');
    // What has its place was said, and no echo of it is delivered to who has left.
    for (const entry of await outboxOf(transaction, conversation)) {
      await this.sent(transaction, conversation, BigInt(entry.sequence ?? 0), entry);
    }
    putOutbox(transaction, conversation, []);
    // Leaving again changes nothing.
    if (group === undefined || group.state.length === 0) return;
    const { joined } = group;
    const state = new Uint8Array();
    putGroup(transaction, conversation, { state, joined, standing: 'removed' });
    await this.changed(transaction, conversation);
  }

  /** The server knows of the commit that could not be followed. */
  async reported(transaction: Transaction, conversation: string): Promise<void> {
    const group = await groupOf(transaction, conversation);
    if (group?.failed === undefined) return;
    const { state, joined, standing } = group;
    putGroup(transaction, conversation, { state, joined, standing });
  }

  /** Throws a commit away that the server has refused. */
  async drop(transaction: Transaction, conversation: string, commitId: string): Promise<void> {
    await this.dropPending(transaction, conversation, (pending) => pending.commitId === commitId);
  }

  /** The next message to send, encrypted; undefined when there is none, or no group. */
  async nextToSend(
    transaction: Transaction,
    conversation: string,
  ): Promise<{ readonly messageId: string; readonly message: Uint8Array } | undefined> {
    const entries = [...(await outboxOf(transaction, conversation))];
    const at = entries.findIndex(({ sequence }) => sequence === undefined);
    const entry = entries[at];
    if (entry === undefined) return undefined;
    const { messageId, text, attachments = [] } = entry;
    if (entry.message !== undefined) return { messageId, message: fromHex(entry.message) };
    const group = await groupOf(transaction, conversation);
    if (group?.standing !== 'in') return undefined;
    const content = encodeContent({ id: messageId, text, attachments });
    const { plaintext, authenticatedData } = frank(content);
    const { engine } = this.options;
    const { state, message } = await engine.encrypt(group.state, plaintext, authenticatedData);
    putGroup(transaction, conversation, { ...group, state });
    entries[at] = { ...entry, message: toHex(message) };
    putOutbox(transaction, conversation, entries);
    return { messageId, message };
  }

  /** A message has its place: its echo is waited for, if it has not come already. */
  async placed(
    transaction: Transaction,
    conversation: string,
    messageId: string,
    sequence: bigint,
  ): Promise<void> {
    const entries = await outboxOf(transaction, conversation);
    if (!entries.some((entry) => entry.messageId === messageId)) return;
    putOutbox(
      transaction,
      conversation,
      entries.map((entry) =>
        entry.messageId === messageId ? { ...entry, sequence: sequence.toString() } : entry,
      ),
    );
  }

  /**
   * Encrypts a message again, in the epoch of now: the server has refused these very bytes. Under
   * the same id, so that it is stored once whatever is still on its way.
   */
  async again(
    transaction: Transaction,
    conversation: string,
    { messageId, message }: { readonly messageId: string; readonly message: Uint8Array },
  ): Promise<void> {
    const bytes = toHex(message);
    await this.encryptAnew(transaction, conversation, (entry) => {
      return entry.messageId === messageId && entry.message === bytes;
    });
  }

  /** Gives up what waits to be sent. What has its place, or may have, still comes back. */
  async refuse(transaction: Transaction, conversation: string, reason: string): Promise<void> {
    const entries = await outboxOf(transaction, conversation);
    const kept = entries.filter(({ sequence }) => sequence !== undefined);
    if (kept.length === entries.length) return;
    putOutbox(transaction, conversation, kept);
    for (const { messageId, text, attachments, sequence } of entries) {
      if (sequence !== undefined) continue;
      const refused = { conversation, messageId, text, ...(attachments && { attachments }), reason };
      await this.options.handler.refused?.(transaction, refused);
    }
  }

  private async encryptAnew(
    transaction: Transaction,
    conversation: string,
    which: (entry: OutboxEntry) => boolean = () => true,
  ): Promise<void> {
    const entries = await outboxOf(transaction, conversation);
    const plain = entries.map((entry): OutboxEntry => {
      const { message, ...rest } = entry;
      const anew = message !== undefined && rest.sequence === undefined && which(entry);
      return anew ? rest : entry;
    });
    if (plain.some((entry, i) => entry !== entries[i])) putOutbox(transaction, conversation, plain);
  }

  /** Who was not in the group that has ended gets no echo of the commit that founded the next. */
  private async acceptBefore(
    transaction: Transaction,
    { conversation, sequence }: Envelope,
  ): Promise<void> {
    const pending = await pendingOf(transaction, conversation);
    if (pending?.sequence === undefined) return;
    const place = BigInt(pending.sequence);
    if (place < sequence) await this.accept(transaction, conversation, pending.commitId, place);
  }

  /** What this device sent comes back in its place. Nobody can decrypt what they encrypted. */
  private async echo(transaction: Transaction, envelope: Envelope): Promise<void> {
    const { conversation, sequence, messageId, kind } = envelope;
    if (kind === EnvelopeKind.PROPOSAL) return;
    if (kind === EnvelopeKind.COMMIT) {
      if (await this.accept(transaction, conversation, messageId, sequence)) return;
      const group = await groupOf(transaction, conversation);
      if (group?.standing !== 'in' || sequence <= group.joined) return;
      const { epoch } = this.options.engine.view(group.state);
      if (envelope.epoch < epoch) return;
      // A commit of which this device knows nothing any more: its store is an old copy.
      putGroup(transaction, conversation, { ...group, standing: 'lost' });
      return this.changed(transaction, conversation);
    }
    const entries = await outboxOf(transaction, conversation);
    const entry = entries.find((known) => known.messageId === messageId);
    if (entry === undefined) {
      const group = await groupOf(transaction, conversation);
      // It was on its way here when the person left, and has been told of then.
      if (group?.standing === 'removed' && group.state.length === 0) return;
      return this.unreadable(transaction, envelope, 'own');
    }
    putOutbox(
      transaction,
      conversation,
      entries.filter((known) => known !== entry),
    );
    await this.sent(transaction, conversation, sequence, entry);
  }

  private async application(
    transaction: Transaction,
    envelope: Envelope,
    { plaintext, sender, authenticatedData }: Extract<Received, { kind: 'application' }>,
  ): Promise<void> {
    const opened = openFranked(plaintext, authenticatedData);
    const content = decodeContent(opened.content);
    if (content === undefined) return this.unreadable(transaction, envelope, 'unknown-content');
    const { conversation, sequence, messageId } = envelope;
    if (sender !== envelope.senderDevice || content.id !== messageId) {
      return this.unreadable(transaction, envelope, 'forged');
    }
    await this.options.handler.message(transaction, {
      conversation,
      sequence,
      messageId,
      sender: envelope.sender,
      senderDevice: sender,
      text: content.text,
      ...(content.attachments && { attachments: content.attachments }),
      reportable: await keepEvidence(transaction, envelope, opened.content, opened.franking),
      time: envelope.createTime === undefined ? 0 : timestampMs(envelope.createTime),
    });
  }

  private async refused(
    transaction: Transaction,
    envelope: Envelope,
    group: GroupRecord,
    error: EngineError,
  ): Promise<void> {
    if (envelope.kind === EnvelopeKind.COMMIT && error.reason !== 'stale') {
      const standing = error.reason === 'gone' ? 'removed' : 'lost';
      const failed =
        standing === 'lost' && group.standing === 'in'
          ? this.failed(group, envelope)
          : group.failed;
      const { conversation } = envelope;
      putGroup(transaction, conversation, { ...group, standing, ...(failed && { failed }) });
      await this.changed(transaction, envelope.conversation);
    }
    return this.unreadable(transaction, envelope, error.reason);
  }

  private failed(group: GroupRecord, { epoch, payload }: Envelope): FailedCommit {
    const { groupId } = this.options.engine.view(group.state);
    return {
      epoch: epoch.toString(),
      digest: toHex(sha256(payload)),
      groupId: toHex(groupId),
    };
  }

  /** The app hears of messages alone: commits and proposals are no business of people. */
  private async unreadable(
    transaction: Transaction,
    envelope: Envelope,
    reason: UnreadableReason,
  ): Promise<void> {
    const { kind } = envelope;
    if (kind === EnvelopeKind.COMMIT || kind === EnvelopeKind.PROPOSAL) return;
    await this.options.handler.unreadable?.(transaction, { envelope, reason });
  }

  private async sent(
    transaction: Transaction,
    conversation: string,
    sequence: bigint,
    { messageId, text, attachments }: OutboxEntry,
  ): Promise<void> {
    const files = attachments && { attachments };
    const sent = { conversation, sequence, messageId, text, ...files };
    await this.options.handler.sent?.(transaction, sent);
  }

  private async dropPending(
    transaction: Transaction,
    conversation: string,
    which: (pending: PendingRecord) => boolean,
  ): Promise<void> {
    const pending = await pendingOf(transaction, conversation);
    if (pending !== undefined && which(pending)) deletePending(transaction, conversation);
  }

  private async changed(transaction: Transaction, conversation: string): Promise<void> {
    await this.options.handler.groupChanged?.(transaction, conversation);
  }
}
