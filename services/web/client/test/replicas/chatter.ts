// A device that talks without encryption, for volume, and remembers what it was told.
import { MessagingService } from '../../src/api.ts';
import type { SendMessageResponse } from '../../src/api.ts';
import { HandrailError, Inbox } from '../../src/index.ts';
import type { Client } from './clients.ts';
import { newId } from './groups.ts';

/** What a device was told of a message of its own, or has heard. */
export interface Place {
  readonly sequence: bigint;
  readonly messageId: string;
}

/** What all that take part tell of; findings are what must not be. */
export interface Log {
  readonly findings: string[];
  acknowledged: number;
  repeated: number;
  heard: number;
}

export interface ChatterOptions {
  readonly client: Client;
  readonly conversation: string;
  /** Of this device in messages and findings. */
  readonly name: string;
  readonly log: Log;
  /** From 0 to below 1. */
  readonly random: () => number;
}

const ATTEMPT_MS = 3_000;
const SILENCE_MS = 25_000;
/** How long a message may take at most, through all faults. */
const PATIENCE_MS = 180_000;
const MOST_BYTES = 300;
/** How often something is said again that was acknowledged, with the same bytes and with others. */
const AGAIN = 0.05;
const OTHERWISE = 0.01;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class Chatter {
  /** Its own messages, as the server has placed them. */
  readonly told: Place[] = [];
  /** All messages of the conversation, as they came. */
  readonly heard: Place[] = [];
  private said = 0;
  private readonly leaving = new AbortController();
  private readonly receiving: Promise<void>;

  constructor(private readonly options: ChatterOptions) {
    this.receiving = this.receive();
  }

  get conversation(): string {
    return this.options.conversation;
  }

  get name(): string {
    return this.options.name;
  }

  /** The last that it has heard. */
  get last(): bigint {
    return this.heard.at(-1)?.sequence ?? 0n;
  }

  /** Says one thing, and does not rest until the server has it; now and then says it again. */
  async say(): Promise<void> {
    const { conversation, name, random, log } = this.options;
    const padding = '.'.repeat(Math.floor(random() * MOST_BYTES));
    const text = `${name} ${this.said++} ${padding}`;
    const payload = new TextEncoder().encode(text);
    const request = { conversation, messageId: newId(), payload };
    const answer = await this.insist(() => this.send(request));
    if (answer === undefined) return;
    const { sequence } = answer;
    this.told.push({ sequence, messageId: request.messageId });
    log.acknowledged += 1;
    if (random() < AGAIN) await this.sayAgain(request, sequence);
    if (random() < OTHERWISE) await this.sayOtherwise(request);
  }

  async stop(): Promise<void> {
    this.leaving.abort();
    await this.receiving;
    this.options.client.session.close();
  }

  private send(request: { conversation: string; messageId: string; payload: Uint8Array }) {
    const { session } = this.options.client;
    const { sendMessage } = MessagingService.method;
    return session.unary(sendMessage, request, { timeoutMs: ATTEMPT_MS });
  }

  private async sayAgain(request: Parameters<Chatter['send']>[0], first: bigint): Promise<void> {
    const { log } = this.options;
    const again = await this.insist(() => this.send(request));
    if (again === undefined) return;
    log.repeated += 1;
    if (again.sequence !== first) {
      this.finding(`a message at ${first} was placed again, at ${again.sequence}`);
    }
  }

  private async sayOtherwise(request: Parameters<Chatter['send']>[0]): Promise<void> {
    const other = { ...request, payload: new TextEncoder().encode('something else') };
    const answer = await this.insist(() => this.send(other), 'REQUEST_ID_REUSED');
    if (answer !== undefined) this.finding('other bytes were taken under the id of a message');
  }

  /** Calls until there is an answer; undefined when it is the refusal that was expected. */
  private async insist(
    call: () => Promise<SendMessageResponse>,
    expected = '',
  ): Promise<SendMessageResponse | undefined> {
    const giveUp = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof HandrailError)) throw error;
        if (error.reason === expected && expected !== '') return undefined;
        if (!error.retryable || Date.now() > giveUp) {
          const { code, reason, message } = error;
          this.finding(`SendMessage was answered with ${code} ${reason}: ${message}`);
          return undefined;
        }
        // Nothing comes back on this connection: another one may do better.
        if (error.code === 'DEADLINE_EXCEEDED') this.options.client.session.reconnect();
        await sleep((error.retryAfterMs ?? 0) + this.options.random() * 200);
      }
    }
  }

  private async receive(): Promise<void> {
    const { client, conversation } = this.options;
    const { signal } = this.leaving;
    const inbox = new Inbox({
      transport: client.session,
      store: client.store,
      handler: {
        envelope: async (_, { sequence, messageId, ...envelope }) => {
          if (sequence !== this.last + 1n) this.finding(`${sequence} came after ${this.last}`);
          if (envelope.conversation !== conversation) this.finding('a message of others came');
          this.heard.push({ sequence, messageId });
          this.options.log.heard += 1;
        },
        gap: async (_, { firstSequence, lastSequence }) => {
          this.finding(`it was told of a gap from ${firstSequence} to ${lastSequence}`);
        },
      },
      backoff: { firstMs: 50, capMs: 1_000 },
      silenceMs: SILENCE_MS,
    });
    try {
      const end = await inbox.run(signal);
      if (!signal.aborted) this.finding(`its inbox ended: ${end}`);
    } catch (error) {
      this.finding(`its inbox failed: ${error}`);
    }
  }

  private finding(text: string): void {
    this.options.log.findings.push(`${this.options.name}: ${text}`);
  }
}
