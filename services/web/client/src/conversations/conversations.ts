import { newRequestId } from '../base/bytes.ts';
import { tell } from '../base/telling.ts';
import { Inbox } from '../delivery/inbox.ts';
import type { InboxEnd, InboxOptions } from '../delivery/inbox.ts';
import type { E2eeEngine, GroupView } from '../engine/engine.ts';
import type { Group } from '../gen/handrail/messaging/v1/group_pb.ts';
import type { Invitation } from '../gen/handrail/messaging/v1/invitation_pb.ts';
import { MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { KeyPackages } from '../keys/key_packages.ts';
import type { Session } from '../session/session.ts';
import type { SealedStore } from '../store/sealed_store.ts';
import { atMost, sleep } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { DeviceLogs } from './device_logs.ts';
import { DeviceWatch } from './device_watch.ts';
import { ConversationError } from './events.ts';
import type { ConversationsHandler } from './events.ts';
import { GroupChanges } from './group_changes.ts';
import type { Settled, Wish } from './group_changes.ts';
import { Invitations } from './invitations.ts';
import type { MadeInvitation } from './invitations.ts';
import { Outbox } from './outbox.ts';
import type { SendOptions } from './outbox.ts';
import { conversationsWithGroup, conversationsWithOutbox, groupOf } from './records.ts';
import type { GroupRecord } from './records.ts';
import { report, reportable } from './reports.ts';
import type { ReportOptions, ReportableMessage } from './reports.ts';
import { Serial } from './serial.ts';
import { Steps } from './steps.ts';

export interface ConversationsOptions {
  readonly session: Pick<Session, 'deviceKey'> & Transport;
  readonly store: SealedStore;
  readonly engine: E2eeEngine;
  readonly keyPackages: Pick<KeyPackages, 'secretFor' | 'spend' | 'replenish'>;
  readonly handler: ConversationsHandler;
  readonly onStatus?: InboxOptions['onStatus'];
  /** What went wrong and is tried again, or is past help; for a log. What it throws is dropped. */
  readonly onProblem?: (error: Error) => void;
  readonly backoff?: InboxOptions['backoff'];
  /** From 0 to below 1. */
  readonly random?: () => number;
  /**
   * How often it is looked whether devices came or went, while `run` runs, and how long what could
   * not be sent waits: 60 s unless told, up to half as much more.
   */
  readonly checkMs?: number;
  /**
   * Up to how long it waits, when the server says that few key packages are left, before it
   * publishes more: 10 s unless told, so that all devices do not at once what one event made all
   * need.
   */
  readonly replenishMs?: number;
  /** Up to how long `close`, and the end of `run`, wait for that: 5 s unless told. */
  readonly closeMs?: number;
}

const DEFAULT_CHECK_MS = 60_000;
const DEFAULT_REPLENISH_MS = 10_000;
export const DEFAULT_CLOSE_MS = 5_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Where nothing can be done, as for want of key packages, so many checks at most are left out. */
const MAX_SKIPPED = 8;

/**
 * Conversations that nobody but the devices of their members can read. All that is known of them is
 * in the store; whatever crashes, `run` goes on from there. Any number of tabs may do everything at
 * once; one of them receives.
 */
export class Conversations {
  private readonly options: ConversationsOptions;
  /** Whose devices there are, as people's logs say; looked at by itself. */
  readonly deviceLogs: DeviceLogs;
  private readonly steps: Steps;
  private readonly inbox: Inbox;
  private readonly changes: GroupChanges;
  private readonly outbox: Outbox;
  private readonly guests: Invitations;
  private readonly serial = new Serial();
  private readonly patience = new Map<string, { skipping: number; left: number }>();
  /** Of the `run` that is under way. */
  private running = new AbortController().signal;
  private replenishing: Promise<void> | undefined;
  /** A Welcome has used up a key package, of which no stream may have told. */
  private used = false;
  private readonly closing = new AbortController();

  constructor(options: ConversationsOptions) {
    this.options = options;
    const { session, store, engine, keyPackages, handler, random = Math.random } = options;
    const { deviceKey } = session;
    this.steps = new Steps({ engine, keyPackages, device: deviceKey.device, handler });
    this.inbox = this.makeInbox();
    const shared = { transport: session, store, steps: this.steps, inbox: this.inbox };
    const onProblem = (error: Error) => this.problem(error);
    this.deviceLogs = new DeviceLogs({ transport: session, store, deviceKey, handler });
    const watch = new DeviceWatch(this.deviceLogs, onProblem);
    const onServer = (server: Group) => watch.see(server);
    this.changes = new GroupChanges({ ...shared, engine, deviceKey, onServer, onProblem, random });
    this.outbox = new Outbox(shared);
    this.guests = new Invitations(session);
  }

  /**
   * Receives, sends what waits, lets new devices of the members in and puts removed ones out, until
   * the signal; ends and rejects as Inbox.run does. Only one at a time on a device receives.
   */
  async run(signal: AbortSignal): Promise<InboxEnd> {
    const stopping = new AbortController();
    const both = AbortSignal.any([signal, stopping.signal]);
    this.running = both;
    const tending = Promise.all([this.tend(both), this.replenishDaily(both)]);
    try {
      return await this.inbox.run(signal);
    } finally {
      stopping.abort();
      await tending;
      await this.replenished();
    }
  }

  /**
   * To be called before the session and the store are closed: publishes key packages in the place
   * of those that were used, which else nobody would do for an app that only runs for a moment.
   * Never throws, and takes no longer than `closeMs`.
   */
  async close(): Promise<void> {
    this.closing.abort();
    if (this.used) void this.replenish(0, this.closing.signal);
    await this.replenished();
  }

  /**
   * Sees to it that this device is in the conversation's group: makes the group, with all devices
   * of all members, unless somebody else has. Errors: ConversationError `nobody-ready` while nobody
   * else has published key packages; `not-in-group` when another device made the group without this
   * one, which any of its devices will mend; those of the calls. May be repeated after each.
   */
  async start(conversation: string): Promise<void> {
    await this.settle(conversation, 'start');
  }

  /**
   * Says something. Resolves with the message's id as soon as it is on disk, and nothing loses it
   * from then on: it goes out now, or when `run` finds that it can. ConversationsHandler.sent tells
   * that it is there. Files are uploaded before, by Attachments. Errors: RangeError beyond 16 KiB or
   * 8 files, and for an id of another form; ConversationError `outbox-full`.
   */
  async send(conversation: string, text: string, options: SendOptions = {}): Promise<string> {
    const messageId = await this.outbox.add(conversation, text, options);
    this.flush(conversation).catch((error: unknown) => this.caught(error));
    return messageId;
  }

  /**
   * Sends what waits, and starts the conversation where that is needed. What will never be taken is
   * given to ConversationsHandler.refused. Errors: as `start`.
   */
  flush(conversation: string): Promise<void> {
    const step = async () => {
      await this.outbox.flush(conversation);
      if (!(await this.outbox.waits(conversation))) return;
      await this.changes.settle(conversation, 'start');
      await this.outbox.flush(conversation);
    };
    return this.serial.run(conversation, () => this.outbox.orRefuse(conversation, step));
  }

  /**
   * Begins a conversation of up to 8 people, in which this person is alone until somebody accepts an
   * invitation; its name. What is said before waits for them. Errors: those of the call.
   */
  createGroup(): Promise<string> {
    return this.guests.begin();
  }

  /**
   * Keeps a place in a group conversation for one person, for 7 days. Errors: those of the call. When
   * the answer is lost, the place is kept for nobody: `invitations` shows it, `revoke` frees it.
   */
  invite(conversation: string): Promise<MadeInvitation> {
    return this.guests.invite(conversation);
  }

  /** The places that are kept in a conversation, the newest first. Errors: those of the call. */
  invitations(conversation: string): Promise<Invitation[]> {
    return this.guests.list(conversation);
  }

  /** Nobody comes by this invitation, `invitations/{invitation}`, any more. Errors: as above. */
  revoke(invitation: string): Promise<void> {
    return this.guests.revoke(invitation);
  }

  /**
   * Takes part in the conversation of an invitation's code; its name. Any device of the others lets
   * this person's devices in as soon as it runs; nothing of before is ever read. May be repeated.
   * Errors: RangeError for what is no code; HandrailError NOT_FOUND whatever is the matter with it;
   * those of the call.
   */
  accept(code: string): Promise<string> {
    return this.guests.accept(code);
  }

  /** Reads what has come without `run`. Errors: as Inbox.fetch. */
  fetch(conversation: string): Promise<void> {
    return this.inbox.fetch(conversation);
  }

  /** Lets new devices of the members in and puts removed ones out, now. Errors: as `start`. */
  async tidy(conversation: string): Promise<void> {
    await this.settle(conversation, 'tidy');
  }

  /**
   * Gives this device new keys, so that who has stolen its old ones reads nothing more. Once a week
   * is plenty. Errors: as `start`.
   */
  async refreshKeys(conversation: string): Promise<void> {
    await this.settle(conversation, 'fresh-keys');
  }

  /**
   * Leaves, for good. From then on nothing is delivered to this person's devices there and nothing
   * taken from them; what this device would need to read it is deleted, what it has shown stays
   * with the app. What waits to be sent is given to ConversationsHandler.refused. Errors: those of
   * the call, after which it is repeated.
   */
  leave(conversation: string): Promise<void> {
    const { session, store } = this.options;
    return this.serial.run(conversation, async () => {
      const requestId = newRequestId();
      const leaving = { name: conversation, requestId };
      await session.unary(MessagingService.method.leaveConversation, leaving);
      await store.transact((transaction) => this.steps.left(transaction, conversation));
    });
  }

  /** What others said that can be reported from this device, in order: the newest 500. */
  reportable(conversation: string): Promise<ReportableMessage[]> {
    return reportable(this.options.store, conversation);
  }

  /**
   * Shows the messages of others at these places to those who look after cases, who can check that
   * they were said, and nothing else; gives the report's name. A message that came with files shows
   * their descriptors, and with them their keys; their bytes it does not hold, and the server keeps
   * those for a while only. It may be done when the conversation is over. Nobody in
   * it is told. Errors: RangeError for what cannot be reported from here, for none, for more than 32
   * messages or 64 KiB; those of the call, after which it is repeated with the same `requestId`.
   */
  report(
    conversation: string,
    sequences: readonly bigint[],
    options: ReportOptions,
  ): Promise<string> {
    const { session: transport, store } = this.options;
    return report({ transport, store }, conversation, sequences, options);
  }

  /**
   * Starts the conversation's group anew, when it cannot be mended. Devices do so by themselves
   * once most of them are lost; this is for a person who sees that nothing comes through any more.
   * Errors: as `start`; HandrailError GROUP_RESET_NOT_AGREED among more than two people, while most
   * devices get on with the group.
   */
  async reset(conversation: string): Promise<void> {
    await this.serial.run(conversation, () => this.changes.restart(conversation));
  }

  /** Who can read the conversation; undefined while this device cannot. */
  async view(conversation: string): Promise<GroupView | undefined> {
    const group = await this.groupIn(conversation);
    return group && this.options.engine.view(group.state);
  }

  /**
   * 30 digits for two people to compare: the same on all of their devices means that nobody stands
   * between them. Others after each change of the group. Undefined while this device is not in it.
   */
  async authenticator(conversation: string): Promise<string | undefined> {
    const group = await this.groupIn(conversation);
    return group && this.options.engine.authenticator(group.state);
  }

  private settle(conversation: string, wish: Wish): Promise<Settled> {
    return this.serial.run(conversation, () => this.changes.settle(conversation, wish));
  }

  private async groupIn(conversation: string): Promise<GroupRecord | undefined> {
    const group = await groupOf(this.options.store, conversation);
    return group?.standing === 'in' ? group : undefined;
  }

  private makeInbox(): Inbox {
    const { session, store, handler, onStatus, backoff, random } = this.options;
    return new Inbox({
      transport: session,
      store,
      handler: {
        envelope: (transaction, envelope) => this.steps.envelope(transaction, envelope),
        gap: (transaction, gap) => this.steps.gap(transaction, gap),
        readsAfter: (transaction, conversation) => this.steps.readsAfter(transaction, conversation),
        welcome: async (transaction, welcome) => {
          const what = await this.steps.welcome(transaction, welcome);
          if (what === 'joined') this.used = true;
          if (what === 'joined' || what === 'known') return;
          const cause = what === 'no-key-package' ? 'its key package is not ours' : what.message;
          const message = `a Welcome to ${welcome.conversation} was of no use: ${cause}`;
          this.problem(new ConversationError('not-in-group', message));
        },
        welcomed: async ({ conversation }) => {
          // What was said before this device was let in waits.
          this.patience.delete(conversation);
          void this.tendOne(conversation);
        },
        conversationChanged: async (conversation) => {
          // Who has left is put out of the group, and a new group is looked at.
          this.patience.delete(conversation.name);
          void this.tendOne(conversation.name);
          await handler.conversationChanged?.(conversation);
        },
        keyPackagesLow: async () => {
          const { replenishMs = DEFAULT_REPLENISH_MS } = this.options;
          void this.replenish(replenishMs, this.running);
        },
        caughtUp: async () => {
          void this.tendAll(this.running);
          await handler.caughtUp?.();
        },
      },
      ...(onStatus && { onStatus }),
      ...(backoff && { backoff }),
      ...(random && { random }),
      onProblem: (error) => this.problem(error),
    });
  }

  private async tend(signal: AbortSignal): Promise<void> {
    const { checkMs = DEFAULT_CHECK_MS, random = Math.random } = this.options;
    while (!signal.aborted) {
      // Not in step with the other devices, which all see the same.
      await sleep(checkMs * (1 + random() / 2), signal);
      if (!signal.aborted) await this.tendAll(signal);
    }
  }

  /** What ends is made anew in time, also where the server says nothing. */
  private async replenishDaily(signal: AbortSignal): Promise<void> {
    const { random = Math.random } = this.options;
    while (!signal.aborted) {
      await sleep(DAY_MS * (0.5 + random() / 2), signal);
      if (!signal.aborted) await this.replenish(0, signal);
    }
  }

  /** Publishes key packages where they are wanted, at some moment within the next `withinMs`. */
  private replenish(withinMs: number, signal: AbortSignal): Promise<void> {
    this.replenishing ??= this.replenishWithin(withinMs, signal).finally(() => {
      this.replenishing = undefined;
    });
    return this.replenishing;
  }

  private async replenishWithin(withinMs: number, signal: AbortSignal): Promise<void> {
    const { keyPackages, random = Math.random } = this.options;
    try {
      await sleep(withinMs * random(), AbortSignal.any([signal, this.closing.signal]));
      // At once when it ends meanwhile: it may never run for longer than that.
      this.used = false;
      await keyPackages.replenish();
    } catch (error) {
      // Told again when the next stream begins.
      this.caught(error);
    }
  }

  private replenished(): Promise<void> {
    const { closeMs = DEFAULT_CLOSE_MS } = this.options;
    return atMost(closeMs, this.replenishing ?? Promise.resolve());
  }

  private async tendAll(signal: AbortSignal): Promise<void> {
    const { store } = this.options;
    try {
      const waiting = await conversationsWithOutbox(store);
      const all = new Set([...(await conversationsWithGroup(store)), ...waiting]);
      for (const conversation of all) {
        // Who stops waits for one conversation, and not for all of them.
        if (signal.aborted) return;
        await this.tendOne(conversation);
      }
    } catch (error) {
      this.caught(error);
    }
  }

  private async tendOne(conversation: string): Promise<void> {
    const patience = this.patience.get(conversation) ?? { skipping: 0, left: 0 };
    if (patience.left > 0) {
      this.patience.set(conversation, { ...patience, left: patience.left - 1 });
      // What waits to be sent has nothing to do with who cannot be let in yet.
      return this.flushInGroup(conversation);
    }
    if (await this.tryToTend(conversation)) {
      this.patience.delete(conversation);
      return;
    }
    const { random = Math.random } = this.options;
    const skipping = Math.min(MAX_SKIPPED, patience.skipping * 2 + 1);
    // Any number up to that, so that devices which wait for the same do not ask in step.
    this.patience.set(conversation, { skipping, left: 1 + Math.floor(random() * skipping) });
  }

  private async flushInGroup(conversation: string): Promise<void> {
    try {
      const group = await groupOf(this.options.store, conversation);
      if (group?.standing === 'in') await this.flush(conversation);
    } catch (error) {
      this.caught(error);
    }
  }

  /** False when it had better not be tried again soon. */
  private async tryToTend(conversation: string): Promise<boolean> {
    try {
      const group = await groupOf(this.options.store, conversation);
      let whole = true;
      if (group !== undefined && group.standing !== 'removed') {
        whole = (await this.settle(conversation, 'tidy')) === 'whole';
      }
      await this.flush(conversation);
      return whole;
    } catch (error) {
      this.caught(error);
      if (error instanceof ConversationError) return error.fault === 'contended';
      return error instanceof HandrailError && error.retryable;
    }
  }

  private caught(error: unknown): void {
    this.problem(error instanceof Error ? error : new Error(String(error)));
  }

  private problem(error: Error): void {
    tell(this.options.onProblem, error);
  }
}
