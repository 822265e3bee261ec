import { create } from '@bufbuild/protobuf';

import { fromJsonBytes, newRequestId, toJsonBytes } from '../base/bytes.ts';
import { tell } from '../base/telling.ts';
import { GroupService } from '../gen/handrail/messaging/v1/group_pb.ts';
import {
  ClosingCause,
  GapSchema,
  MessagingService,
} from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type {
  Closing,
  Conversation,
  Envelope,
  FetchMessagesResponse,
  Gap,
  SubscribeResponse,
  Welcome,
} from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';
import { atMost, fullJitterMs, sleep } from '../transport/backoff.ts';
import type { BackoffOptions } from '../transport/backoff.ts';
import { HandrailError, toHandrailError } from '../transport/errors.ts';
import type { Transport } from '../transport/transport.ts';
import { Acknowledger } from './acknowledger.ts';

/**
 * What becomes of what is delivered. `envelope` and `gap` run in the transaction that moves the
 * cursor, `welcome` in one of its own; they may run again when another tab wrote at the same time,
 * and have no effect but through the transaction. Once it is on disk the message is acknowledged,
 * and never delivered again. What they throw ends the inbox, with nothing stored and nothing
 * acknowledged of that event.
 */
export interface InboxHandler {
  envelope(transaction: Transaction, envelope: Envelope): Promise<void>;
  /** Messages that are gone at the server and that this device will never see. */
  gap?(transaction: Transaction, gap: Gap): Promise<void>;
  /**
   * The place after which this device reads, where it was let in late or again: what is missing up
   * to there is a gap that the server says nothing about. 0 unless told.
   */
  readsAfter?(transaction: Transaction, conversation: string): Promise<bigint>;
  /** This device was added to a group. May come again; acknowledged once it is stored. */
  welcome?(transaction: Transaction, welcome: Welcome): Promise<void>;
  /** That is on disk now. */
  welcomed?(welcome: Welcome): Promise<void>;
  conversationChanged?(conversation: Conversation): Promise<void>;
  /** Few key packages of this device are left at the server. */
  keyPackagesLow?(): Promise<void>;
  /** All that was stored when the stream began has been handled. */
  caughtUp?(): Promise<void>;
}

/** Why an inbox ended by itself. */
export type InboxEnd =
  /** The signal said so. */
  | 'stopped'
  /** Another stream of this device took over, such as that of another tab. */
  | 'replaced'
  /** This device or its member may no longer read. */
  | 'revoked';

export type InboxStatus =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'caught-up' }
  | { readonly kind: 'waiting'; readonly ms: number; readonly error?: HandrailError };

export interface InboxOptions {
  /** A session: calls carry the device's token. */
  readonly transport: Transport;
  readonly store: SealedStore;
  readonly handler: InboxHandler;
  /** What this and `onProblem` throw is dropped. */
  readonly onStatus?: (status: InboxStatus) => void;
  /** What went wrong and does not end the inbox, for a log. */
  readonly onProblem?: (error: HandrailError) => void;
  readonly backoff?: BackoffOptions;
  /** From 0 to below 1. */
  readonly random?: () => number;
  /** A stream that says nothing for so long is dead: the server pings every 20 s. */
  readonly silenceMs?: number;
}

const DEFAULT_BACKOFF: BackoffOptions = { firstMs: 500, capMs: 30_000 };
const DEFAULT_SILENCE_MS = 60_000;
/** What the last acknowledgements get when the inbox stops. */
const LAST_WORDS_MS = 2_000;
const MAX_CURSORS = 256;

const CURSOR = 'cursor/';
/** Which inbox of this device has begun a stream last. */
const OWNER = 'inbox-owner';

/** What a handler threw, told apart from what the stream did. */
class HandlerFailure {
  constructor(readonly error: unknown) {}
}

async function cursorIn(transaction: Transaction, conversation: string): Promise<bigint> {
  const bytes = await transaction.get(CURSOR + conversation);
  return bytes === undefined ? 0n : BigInt(fromJsonBytes<string>(bytes));
}

function putCursor(transaction: Transaction, conversation: string, sequence: bigint): void {
  transaction.put(CURSOR + conversation, toJsonBytes(sequence.toString()));
}

function gapBetween(conversation: string, after: bigint, before: bigint): Gap {
  const [firstSequence, lastSequence] = [after + 1n, before - 1n];
  return create(GapSchema, { conversation, firstSequence, lastSequence });
}

/** Errors after which the same attempt is of no use, whenever it is made. */
function isFinal(error: HandrailError): boolean {
  if (error.reason === 'CHALLENGE_INVALID') return false;
  return ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'INVALID_ARGUMENT'].includes(error.code);
}

/**
 * Receives everything that is sent to this device, in the order of each conversation, and hands
 * each message to the handler exactly once, through crashes of either side. One inbox a device: a
 * newer one, also in another tab, takes over.
 */
export class Inbox {
  private readonly options: InboxOptions;
  private readonly acknowledger: Acknowledger;
  private readonly id = newRequestId();
  private running = false;
  private failures = 0;
  private overtaken = 0;

  constructor(options: InboxOptions) {
    this.options = options;
    this.acknowledger = new Acknowledger(options.transport, (error) => this.problem(error));
  }

  /**
   * Runs until the signal, or until there is no use in going on: then it says why. Rejects with
   * what the handler or the store threw, and with a HandrailError that repeating does not cure,
   * such as SIGNATURE_INVALID for a device that was removed.
   */
  async run(signal: AbortSignal): Promise<InboxEnd> {
    if (this.running) throw new Error('this inbox runs already');
    this.running = true;
    try {
      while (!signal.aborted) {
        const end = await this.attempt(signal);
        if (typeof end === 'string') return end;
        this.status({ kind: 'waiting', ...end });
        await sleep(end.ms, signal);
      }
      return 'stopped';
    } finally {
      await atMost(LAST_WORDS_MS, this.acknowledger.flush());
      this.running = false;
    }
  }

  /**
   * Reads what there is of one conversation without a stream, all that was stored before the call
   * at least. Each message is handled once, also while a stream runs. Rejects as `run` does, and
   * when a call fails.
   */
  async fetch(conversation: string): Promise<void> {
    try {
      for (let known = 0n; ; ) {
        const page = await this.page(conversation);
        // A Welcome is there before the messages that it opens; so it is asked for after them.
        const welcome = await this.welcomeTo(conversation);
        const taken = await this.handlePage(page, welcome);
        if (!page.hasMore) {
          if (taken || welcome === undefined) return;
          // All that comes before it was in a page that was asked for when it was there.
          if (welcome.sequence === known) return await this.welcome(welcome);
        }
        known = welcome?.sequence ?? 0n;
      }
    } catch (error) {
      throw error instanceof HandlerFailure ? error.error : error;
    }
  }

  /** What comes after the cursor, as much as the server tells at once. */
  private async page(conversation: string): Promise<FetchMessagesResponse> {
    const afterSequence = await this.ours(() => this.cursor(conversation));
    const { fetchMessages } = MessagingService.method;
    return this.options.transport.unary(fetchMessages, { conversation, afterSequence });
  }

  /**
   * Handles a page, and the Welcome in its place: what comes before it is of a group that joining
   * makes unreadable, what comes after it of the one that it opens. Says whether it was taken.
   */
  private async handlePage(
    page: FetchMessagesResponse,
    welcome: Welcome | undefined,
  ): Promise<boolean> {
    if (page.gap !== undefined) await this.gap(page.gap);
    let taken = false;
    for (const envelope of page.envelopes) {
      if (!taken && welcome !== undefined && envelope.sequence >= welcome.sequence) {
        await this.welcome(welcome);
        taken = true;
      }
      await this.envelope(envelope);
    }
    return taken;
  }

  /** The Welcome to a conversation that waits for this device, if one does. */
  private async welcomeTo(conversation: string): Promise<Welcome | undefined> {
    if (this.options.handler.welcome === undefined) return undefined;
    for (;;) {
      const { welcomes, hasMore } = await this.options.transport.unary(
        GroupService.method.fetchWelcomes,
        {},
      );
      const found = welcomes.find((welcome) => welcome.conversation === conversation);
      if (found !== undefined || !hasMore) return found;
      await this.makeRoom(welcomes);
    }
  }

  /** The server tells the oldest Welcomes alone: takes these, so that it tells the next ones. */
  private async makeRoom(welcomes: readonly Welcome[]): Promise<void> {
    let failed: unknown;
    let acknowledged = 0;
    for (const welcome of welcomes) {
      try {
        await this.readUpTo(welcome);
        acknowledged += 1;
      } catch (error) {
        if (error instanceof HandlerFailure) throw error;
        this.problem(toHandrailError(error));
        failed = error;
      }
    }
    // Without knowing its Welcome a conversation cannot be read.
    if (acknowledged === 0) throw failed;
  }

  /** Takes the Welcome to another conversation, after what is unread there of the time before. */
  private async readUpTo(welcome: Welcome): Promise<void> {
    for (;;) {
      const page = await this.page(welcome.conversation);
      // A newer Welcome, which may have come meanwhile, opens what comes after this one.
      const envelopes = page.envelopes.filter(({ sequence }) => sequence < welcome.sequence);
      await this.handlePage({ ...page, envelopes }, undefined);
      if (!page.hasMore || envelopes.length < page.envelopes.length) break;
    }
    await this.takeWelcome(welcome);
    await this.ackWelcome(welcome);
  }

  /** One stream, from its beginning to its end: how the inbox ends, or how long to wait. */
  private async attempt(
    signal: AbortSignal,
  ): Promise<InboxEnd | { ms: number; error?: HandrailError }> {
    this.status({ kind: 'connecting' });
    try {
      const closing = await this.receive(signal);
      if (signal.aborted) return 'stopped';
      if (closing?.cause === ClosingCause.REPLACED) return await this.replaced();
      if (closing?.cause === ClosingCause.REVOKED) return 'revoked';
      // The server's wait is jittered already.
      if (closing !== undefined) return { ms: closing.retryAfterMs };
      throw new HandrailError({ code: 'UNAVAILABLE', message: 'the stream ended without a word' });
    } catch (error) {
      if (error instanceof HandlerFailure) throw error.error;
      if (signal.aborted) return 'stopped';
      const failed = toHandrailError(error);
      if (isFinal(failed)) throw failed;
      this.failures += 1;
      const { backoff = DEFAULT_BACKOFF, random = Math.random } = this.options;
      const ms = (failed.retryAfterMs ?? 0) + fullJitterMs(this.failures, backoff, random);
      this.problem(failed);
      return { ms, error: failed };
    }
  }

  /**
   * Another inbox of this device has taken over, and this one ends; unless it was this one itself: a
   * request of a connection that was given up can arrive late, after that of the next one. Then it
   * begins again, ever more slowly should it be a copy of the store.
   */
  private async replaced(): Promise<InboxEnd | { ms: number }> {
    const owner = await this.ours(() => this.options.store.get(OWNER));
    if (owner !== undefined && fromJsonBytes<string>(owner) !== this.id) return 'replaced';
    this.overtaken += 1;
    const { backoff = DEFAULT_BACKOFF, random = Math.random } = this.options;
    return { ms: fullJitterMs(this.overtaken, backoff, random) };
  }

  /** Says in the store that the device's stream is ours from now on. */
  private claim(): Promise<void> {
    return this.ours(() =>
      this.options.store.transact(async (transaction) => {
        const owner = await transaction.get(OWNER);
        if (owner !== undefined && fromJsonBytes<string>(owner) === this.id) return;
        transaction.put(OWNER, toJsonBytes(this.id));
      }),
    );
  }

  private async receive(signal: AbortSignal): Promise<Closing | undefined> {
    await this.claim();
    const cursors = await this.cursors();
    const leaving = new AbortController();
    const stream = this.options.transport.serverStream(
      MessagingService.method.subscribe,
      { cursors: cursors.slice(0, MAX_CURSORS) },
      { signal: AbortSignal.any([signal, leaving.signal]) },
    );
    const events = stream[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.next(events);
        if (done || signal.aborted) return undefined;
        if (value.event.case === 'closing') return value.event.value;
        if (value.event.case === 'started') {
          // What was stored but not heard of by the server before.
          for (const { conversation, afterSequence } of cursors) {
            this.acknowledger.note(conversation, afterSequence);
          }
        }
        await this.handle(value.event);
      }
    } finally {
      leaving.abort();
      events.return?.().catch(() => {});
    }
  }

  /** The next event; the time that the handler takes does not count as the server's silence. */
  private next(events: AsyncIterator<SubscribeResponse>): Promise<IteratorResult<SubscribeResponse>> {
    const { transport, silenceMs = DEFAULT_SILENCE_MS } = this.options;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const message = `the server has been silent for ${silenceMs} ms`;
        transport.reconnect();
        reject(new HandrailError({ code: 'UNAVAILABLE', message }));
      }, silenceMs);
      events
        .next()
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  private async cursors(): Promise<{ conversation: string; afterSequence: bigint }[]> {
    const { store } = this.options;
    try {
      const cursors = [];
      for (const name of await store.list(CURSOR)) {
        const bytes = await store.get(name);
        if (bytes === undefined) continue;
        const afterSequence = BigInt(fromJsonBytes<string>(bytes));
        cursors.push({ conversation: name.slice(CURSOR.length), afterSequence });
      }
      return cursors;
    } catch (error) {
      throw new HandlerFailure(error);
    }
  }

  private async cursor(conversation: string): Promise<bigint> {
    const bytes = await this.options.store.get(CURSOR + conversation);
    return bytes === undefined ? 0n : BigInt(fromJsonBytes<string>(bytes));
  }

  private async handle(event: SubscribeResponse['event']): Promise<void> {
    const { handler } = this.options;
    switch (event.case) {
      case 'started':
        return this.status({ kind: 'connected' });
      case 'caughtUp':
        this.failures = 0;
        await this.ours(async () => handler.caughtUp?.());
        return this.status({ kind: 'caught-up' });
      case 'envelope':
        return this.envelope(event.value);
      case 'gap':
        return this.gap(event.value);
      case 'welcome':
        return this.welcome(event.value);
      case 'conversationChanged': {
        const { conversation } = event.value;
        if (conversation === undefined) return;
        return this.ours(async () => handler.conversationChanged?.(conversation));
      }
      case 'keyPackagesLow':
        return this.ours(async () => handler.keyPackagesLow?.());
      default: // A ping, or an event that is newer than this library.
    }
  }

  private async welcome(welcome: Welcome): Promise<void> {
    if (this.options.handler.welcome === undefined) return;
    await this.takeWelcome(welcome);
    try {
      await this.ackWelcome(welcome);
    } catch (error) {
      // It comes again on the next stream.
      this.problem(toHandrailError(error));
    }
  }

  private takeWelcome(welcome: Welcome): Promise<void> {
    const { store, handler } = this.options;
    return this.ours(async () => {
      await store.transact(async (transaction) => handler.welcome?.(transaction, welcome));
      await handler.welcomed?.(welcome);
    });
  }

  private async ackWelcome({ conversation, sequence }: Welcome): Promise<void> {
    const { ackWelcome } = GroupService.method;
    await this.options.transport.unary(ackWelcome, { conversation, sequence });
  }

  private async envelope(envelope: Envelope): Promise<void> {
    const { conversation, sequence } = envelope;
    const { store, handler } = this.options;
    const has = await this.ours(() =>
      store.transact(async (transaction) => {
        const cursor = await cursorIn(transaction, conversation);
        if (sequence <= cursor) return cursor;
        // A device that comes new to a conversation may start anywhere.
        if (cursor > 0n && sequence !== cursor + 1n) {
          const after = (await handler.readsAfter?.(transaction, conversation)) ?? 0n;
          if (sequence > after + 1n) return undefined;
          await handler.gap?.(transaction, gapBetween(conversation, cursor, sequence));
        }
        await handler.envelope(transaction, envelope);
        putCursor(transaction, conversation, sequence);
        return sequence;
      }),
    );
    if (has === undefined) {
      const message = `message ${sequence} came where the one after the cursor was due`;
      throw new HandrailError({ code: 'DATA_LOSS', message });
    }
    this.acknowledger.note(conversation, has);
  }

  private async gap(gap: Gap): Promise<void> {
    const { conversation, lastSequence } = gap;
    const { store, handler } = this.options;
    await this.ours(() =>
      store.transact(async (transaction) => {
        if (lastSequence <= (await cursorIn(transaction, conversation))) return;
        await handler.gap?.(transaction, gap);
        putCursor(transaction, conversation, lastSequence);
      }),
    );
    this.acknowledger.note(conversation, lastSequence);
  }

  private async ours<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw new HandlerFailure(error);
    }
  }

  private status(status: InboxStatus): void {
    tell(this.options.onStatus, status);
  }

  private problem(error: HandrailError): void {
    tell(this.options.onProblem, error);
  }
}
