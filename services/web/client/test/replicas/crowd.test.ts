// A thousand devices on one replica: what they do when it dies or stops, and when some of them take
// nothing.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { ClosingCause, MessagingService } from '../../src/api.ts';
import type { SubscribeResponse } from '../../src/api.ts';
import { HandrailError, Inbox } from '../../src/index.ts';
import type { InboxEnd, InboxStatus, Transport } from '../../src/index.ts';
import { insist, until } from '../support/until.ts';
import { anotherClient, newClient, several } from './clients.ts';
import type { Client } from './clients.ts';
import { Deployment } from './deployment.ts';
import { newId } from './groups.ts';

const DEVICES = Number(process.env['HANDRAIL_CROWD'] ?? 1000);

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start(2);
});
afterAll(() => deployment?.stop());

/** A session that lets us see the last word of each of its streams. */
function overheard(session: Client['session'], closings: number[]): Transport {
  const listening = Object.create(session) as Transport;
  listening.serverStream = async function* (method, request, options) {
    for await (const message of session.serverStream(method, request, options)) {
      const { event } = message as unknown as SubscribeResponse;
      if (event.case === 'closing') {
        expect(event.value.cause).toBe(ClosingCause.DRAINING);
        closings.push(event.value.retryAfterMs);
      }
      yield message;
    }
  };
  return listening;
}

/** A device that receives. */
class Listener {
  readonly heard: bigint[] = [];
  readonly problems: HandrailError[] = [];
  /** What the server asked it to wait, each time that it stopped. */
  readonly hints: number[] = [];
  /** What it waited when it had not failed. */
  readonly waits: number[] = [];
  live = 0;
  end: InboxEnd | Error | undefined;
  private readonly stopping = new AbortController();
  private readonly running: Promise<unknown>;

  constructor({ session, store }: Client) {
    const inbox = new Inbox({
      transport: overheard(session, this.hints),
      store,
      handler: {
        envelope: async (_, { sequence }) => {
          this.heard.push(sequence);
        },
      },
      onStatus: (status) => this.note(status),
      onProblem: (problem) => this.problems.push(problem),
    });
    this.running = inbox.run(this.stopping.signal).then(
      (end) => (this.end = end),
      (error: unknown) => (this.end = error as Error),
    );
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private note(status: InboxStatus): void {
    if (status.kind === 'caught-up') this.live += 1;
    if (status.kind === 'waiting' && status.error === undefined) this.waits.push(status.ms);
  }
}

async function allOf(
  what: string,
  listeners: readonly Listener[],
  is: (one: Listener, index: number) => boolean,
): Promise<void> {
  await until(what, 300, () => listeners.every(is)).catch((error: unknown) => {
    const left = listeners.filter((one, index) => !is(one, index));
    const [one] = left;
    const problems = one?.problems.map(({ code, message }) => `${code} ${message}`).slice(-3);
    throw new Error(`${left.length} are left: ${one?.end}, ${problems}`, { cause: error });
  });
}

interface Talk {
  readonly conversation: string;
  readonly sender: Client;
}

/** Who says something, at the replica that stays, and the devices that hear it at the other. */
async function crowd(count: number): Promise<{ talks: Talk[]; clients: Client[] }> {
  const [first, second] = deployment.replicas.map(({ address }) => address);
  // One sender a conversation, so many others to talk to.
  const sender = await newClient(deployment, second!);
  const clients = await several(count, 16, () => newClient(deployment, first!));
  const talks = await several(count, 16, async (i) => {
    const people = [sender.session.member, clients[i]!.session.member] as const;
    return { conversation: await deployment.open(people), sender };
  });
  return { talks, clients };
}

/** One message in each. */
async function sayTo(talks: readonly Talk[], bytes = 1): Promise<void> {
  await several(talks.length, 8, async (i) => {
    const { conversation, sender } = talks[i]!;
    const payload = new Uint8Array(bytes).fill(7);
    const request = { conversation, messageId: newId(), payload };
    const { sendMessage } = MessagingService.method;
    return insist('a message to be stored', () => sender.session.unary(sendMessage, request));
  });
}

test(`${DEVICES} devices come back at once after a kill -9, and after a stop`, async () => {
  const { talks, clients } = await crowd(DEVICES);
  const listeners = clients.map((client) => new Listener(client));
  await allOf('all to be there', listeners, ({ live }) => live === 1);
  const [{ program } = { program: undefined }] = deployment.replicas;

  expect(program?.signal('SIGKILL')).toBe(true);
  await sayTo(talks);
  await allOf('all to be back', listeners, ({ live, heard }) => live > 1 && heard.length === 1);
  const back = listeners.map(({ live }) => live);
  const problems = listeners.flatMap((listener) => listener.problems);
  expect(problems.length).toBeGreaterThanOrEqual(DEVICES);
  // The connection is gone or nobody takes it yet, or the replica waits for the keys of tokens; once
  // it is there it refuses nobody.
  const refusals = problems.filter(({ reason }) => !['', 'PEER_UNAVAILABLE'].includes(reason));
  expect(refusals).toEqual([]);

  expect(program?.signal('SIGTERM')).toBe(true);
  await allOf('all to be told to come back', listeners, ({ hints }) => hints.length > 0);
  await sayTo(talks);
  await allOf('all to be back again', listeners, ({ live, heard }, i) => {
    return live > back[i]! && heard.length === 2;
  });
  const hints = listeners.flatMap((listener) => listener.hints);
  // Spread by the server, and kept to by the clients.
  expect(new Set(hints).size).toBeGreaterThan(DEVICES / 10);
  for (const { waits, hints: told, heard, end } of listeners) {
    expect(waits).toEqual(told);
    expect(heard).toEqual([1n, 2n]);
    expect(end).toBeUndefined();
  }
  console.info(`${problems.length} attempts of ${DEVICES} devices failed after the kill -9`);
  await Promise.all(listeners.map((listener) => listener.stop()));
  for (const { session } of [...clients, talks[0]!.sender]) session.close();
});

/** A device that opens a stream, and takes nothing from it until it is told to. */
class Stalled {
  private readonly leaving = new AbortController();
  private readonly events: AsyncIterator<SubscribeResponse>;

  constructor({ session }: Client) {
    const { signal } = this.leaving;
    const { subscribe } = MessagingService.method;
    const stream = session.serverStream(subscribe, {}, { signal });
    this.events = stream[Symbol.asyncIterator]();
  }

  /** The stream is there. */
  async begin(): Promise<void> {
    const { value } = await this.events.next();
    expect((value as SubscribeResponse).event.case).toBe('started');
  }

  /** Reads so many messages. */
  async read(count: number): Promise<bigint[]> {
    const heard: bigint[] = [];
    while (heard.length < count) {
      const { value, done } = await this.events.next();
      if (done) throw new Error(`the stream ended after ${heard.length} messages`);
      if (value.event.case === 'envelope') heard.push(value.event.value.sequence);
    }
    this.leaving.abort();
    return heard;
  }
}

test('who opens a stream and reads nothing holds nobody up', async () => {
  const [{ address } = { address: '' }] = deployment.replicas;
  const [count, messages, bytes] = [10, 150, 8 << 10];
  const { talks, clients } = await crowd(count);
  const others = await several(count, 8, (i) => anotherClient(deployment, address, clients[i]!));
  const stalled = others.map((client) => new Stalled(client));
  await Promise.all(stalled.map((one) => one.begin()));
  const listeners = clients.map((client) => new Listener(client));
  await allOf('all to be there', listeners, ({ live }) => live === 1);

  // More than a stream takes that nobody reads from.
  for (let i = 0; i < messages; ++i) await sayTo(talks, bytes);
  await allOf('all to hear everything', listeners, ({ heard }) => heard.length === messages);
  const all = Array.from({ length: messages }, (_, i) => BigInt(i + 1));
  for (const { heard } of listeners) expect(heard).toEqual(all);
  // And have it all waiting for them.
  for (const one of stalled) expect(await one.read(messages)).toEqual(all);
  await Promise.all(listeners.map((listener) => listener.stop()));
  for (const { session } of [...clients, ...others, talks[0]!.sender]) session.close();
});
