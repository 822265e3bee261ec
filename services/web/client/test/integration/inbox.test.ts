import { execFileSync } from 'node:child_process';

import { create } from '@bufbuild/protobuf';
import { describe, expect, inject, onTestFinished, test } from 'vitest';

import { GapSchema, MessagingService } from '../../src/api.ts';
import type { SubscribeResponse } from '../../src/api.ts';
import { HandrailError, Inbox, Session } from '../../src/index.ts';
import type {
  InboxEnd,
  InboxHandler,
  InboxOptions,
  InboxStatus,
  Transport,
} from '../../src/index.ts';
import { utf8 } from '../devices.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { until } from '../support/until.ts';
import { newDevice, openStore, pair, send, transportTo } from './people.ts';
import type { Device } from './people.ts';

const QUICK = { firstMs: 20, capMs: 200 };

/** Keeps every message under its number, in the transaction that moves the cursor. */
const keeping: InboxHandler = {
  envelope: async (transaction, { sequence, payload }) => {
    const name = `message/${String(sequence).padStart(6, '0')}`;
    if ((await transaction.get(name)) !== undefined) throw new Error(`${name} came twice`);
    transaction.put(name, payload);
  },
};

async function received({ store }: Device): Promise<string[]> {
  const texts = [];
  for (const name of await store.list('message/')) {
    texts.push(new TextDecoder().decode(await store.get(name)));
  }
  return texts;
}

interface Running {
  readonly statuses: InboxStatus[];
  readonly problems: HandrailError[];
  readonly end: Promise<InboxEnd>;
  stop(): Promise<InboxEnd>;
}

function runInbox(device: Device, more: Partial<InboxOptions> = {}): Running {
  const statuses: InboxStatus[] = [];
  const problems: HandrailError[] = [];
  const inbox = new Inbox({
    transport: device.session,
    store: device.store,
    handler: keeping,
    backoff: QUICK,
    onStatus: (status) => statuses.push(status),
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  const stopping = new AbortController();
  const end = inbox.run(stopping.signal);
  end.catch(() => {});
  const stop = () => {
    stopping.abort();
    return end;
  };
  onTestFinished(async () => {
    await stop().catch(() => {});
  });
  return { statuses, problems, end, stop };
}

const isLive = ({ statuses }: Running) => statuses.some(({ kind }) => kind === 'caught-up');

async function acknowledged({ session }: Device, name: string): Promise<bigint> {
  const conversation = await session.unary(MessagingService.method.getConversation, { name });
  return conversation.ackedSequence;
}

const texts = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `message ${from + i}`);

async function sendAll(from: Session, conversation: string, all: string[]): Promise<void> {
  for (const text of all) await send(from, conversation, text);
}

interface Line {
  /** False: acknowledgements get lost. */
  readonly acknowledge?: boolean;
  /** False: the server is not told where the device stands. */
  readonly cursors?: boolean;
  /** May change what the server says; false when it gets lost. */
  readonly event?: (message: SubscribeResponse) => boolean;
}

/** The real service over a line that does something to what is said. */
function changedBy(session: Session, { acknowledge, cursors, event }: Line): Transport {
  const changed = Object.create(session) as Transport;
  if (acknowledge === false) {
    changed.unary = async () => {
      throw new HandrailError({ code: 'UNAVAILABLE', message: 'lost' });
    };
  }
  changed.serverStream = async function* (method, request, options) {
    const asked = cursors === false ? ({} as typeof request) : request;
    for await (const message of session.serverStream(method, asked, options)) {
      if (event?.(message as unknown as SubscribeResponse) ?? true) yield message;
    }
  };
  return changed;
}

// One for each test, and some to spare.
let languages = 'cs da fi hu it nl pl ro sv tr el hr is lt lv et sk sl bg uk'.split(' ');
async function twoPeople(endpoints: { messaging?: string } = {}) {
  const [ann, bob] = await Promise.all([newDevice(), newDevice(endpoints)]);
  const [language, ...others] = languages;
  if (language === undefined) throw new Error('more tests than languages');
  languages = others;
  return { ann, bob, conversation: await pair(ann, bob, language) };
}

describe('an inbox', () => {
  test('gets what was sent before and what comes, and acknowledges it', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 5));
    const inbox = runInbox(bob);
    await until('the stream to catch up', 10, () => isLive(inbox));
    expect(await received(bob)).toEqual(texts(1, 5));
    await sendAll(ann.session, conversation, texts(6, 8));
    await until('the rest', 10, async () => (await received(bob)).length === 8);
    expect(await received(bob)).toEqual(texts(1, 8));
    expect(await inbox.stop()).toBe('stopped');
    expect(await acknowledged(bob, conversation)).toBe(8n);
    expect(inbox.problems).toEqual([]);
    expect(inbox.statuses.map(({ kind }) => kind)).toEqual(['connecting', 'connected', 'caught-up']);
  });

  test('goes on after the app was closed, also where the server heard of nothing', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 4));
    const deaf = changedBy(bob.session, { acknowledge: false });
    const first = runInbox(bob, { transport: deaf });
    await until('four messages', 10, async () => (await received(bob)).length === 4);
    await first.stop();
    expect(await acknowledged(bob, conversation)).toBe(0n);
    await bob.store.close();

    const store = await openStore(bob.folder);
    const again = { ...bob, store, session: await Session.signIn(transportTo(), store) };
    const second = runInbox(again);
    await until('the four to be acknowledged', 10, async () => {
      return (await acknowledged(again, conversation)) === 4n;
    });
    await send(ann.session, conversation, 'message 5');
    await until('the fifth', 10, async () => (await received(again)).length === 5);
    expect(await received(again)).toEqual(texts(1, 5));
    await second.stop();
    expect(await acknowledged(again, conversation)).toBe(5n);
  });

  test('acknowledges nothing that the handler has not stored', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 3));
    let broken = true;
    const handler: InboxHandler = {
      envelope: async (transaction, envelope) => {
        await keeping.envelope(transaction, envelope);
        if (broken && envelope.sequence === 3n) throw new Error('the disk is full');
      },
    };
    const inbox = runInbox(bob, { handler });
    await expect(inbox.end).rejects.toThrow('the disk is full');
    expect(await received(bob)).toEqual(texts(1, 2));
    expect(await acknowledged(bob, conversation)).toBe(2n);
    broken = false;
    const next = runInbox(bob, { handler });
    await until('the third', 10, async () => (await received(bob)).length === 3);
    await next.stop();
    expect(await acknowledged(bob, conversation)).toBe(3n);
  });

  test('hands over once what a server sends again', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 3));
    const deaf = changedBy(bob.session, { acknowledge: false });
    const first = runInbox(bob, { transport: deaf });
    await until('three messages', 10, async () => (await received(bob)).length === 3);
    await first.stop();
    // It is not told where this device stands, so it begins after what was acknowledged: nothing.
    const second = runInbox(bob, { transport: changedBy(bob.session, { cursors: false }) });
    await send(ann.session, conversation, 'message 4');
    await until('the fourth', 10, async () => (await received(bob)).length === 4);
    expect(await received(bob)).toEqual(texts(1, 4));
    expect(second.problems).toEqual([]);
  });

  test('notices that a message is missing, and asks again', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 5));
    let lost = 0;
    const losing = changedBy(bob.session, {
      event: ({ event }) => !(event.case === 'envelope' && event.value.sequence === 3n && !lost++),
    });
    const inbox = runInbox(bob, { transport: losing });
    await until('all messages', 10, async () => (await received(bob)).length === 5);
    expect(await received(bob)).toEqual(texts(1, 5));
    expect(inbox.problems.map(({ code }) => code)).toEqual(['DATA_LOSS']);
  });

  test('tells the handler of what is gone, and goes on behind it', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await sendAll(ann.session, conversation, texts(1, 5));
    // As the server says it after retention: 2 and 3 are gone.
    const gap = { conversation, firstSequence: 2n, lastSequence: 3n };
    const gappy = changedBy(bob.session, {
      event: (message) => {
        if (message.event.case !== 'envelope') return true;
        const { sequence } = message.event.value;
        if (sequence === 2n) message.event = { case: 'gap', value: create(GapSchema, gap) };
        return sequence !== 3n;
      },
    });
    const handler: InboxHandler = {
      ...keeping,
      gap: async (transaction, { firstSequence, lastSequence }) =>
        transaction.put('message/gap', utf8(`${firstSequence} to ${lastSequence}`)),
    };
    const inbox = runInbox(bob, { transport: gappy, handler });
    await until('the rest', 10, async () => (await received(bob)).length === 4);
    const expected = ['message 1', 'message 4', 'message 5', '2 to 3'];
    expect(await received(bob)).toEqual(expected);
    expect(inbox.problems).toEqual([]);
    await inbox.stop();
    expect(await acknowledged(bob, conversation)).toBe(5n);
  });

  test('gives way to a newer one of the same device', async () => {
    const { bob } = await twoPeople();
    const first = runInbox(bob);
    await until('the first to catch up', 10, () => isLive(first));
    const second = runInbox(bob);
    expect(await first.end).toBe('replaced');
    await until('the second to catch up', 10, () => isLive(second));
    expect(await second.stop()).toBe('stopped');
  });

  test('begins again when it was a late request of its own that took over', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const inbox = runInbox(bob);
    await until('the stream to catch up', 10, () => isLive(inbox));
    // As it comes from a connection that was given up: this device's, and of no other inbox.
    const leaving = new AbortController();
    const { signal } = leaving;
    const late = bob.session.serverStream(MessagingService.method.subscribe, {}, { signal });
    await late[Symbol.asyncIterator]().next();
    const lives = () => inbox.statuses.filter(({ kind }) => kind === 'caught-up').length;
    await until('it to be back', 20, () => lives() > 1);
    leaving.abort();
    await sendAll(ann.session, conversation, texts(1, 2));
    await until('the messages', 20, async () => (await received(bob)).length === 2);
    expect(await inbox.stop()).toBe('stopped');
  });

  test('ends when its device was removed', async () => {
    const { bob } = await twoPeople();
    const inbox = runInbox(bob);
    await until('the stream to catch up', 10, () => isLive(inbox));
    const { device } = bob.session.deviceKey;
    await bob.session.revokeDevice(device, 'removed');
    const end = await inbox.end.catch((error: HandrailError) => error.code);
    expect(['revoked', 'UNAUTHENTICATED']).toContain(end);
  });

  test('runs once at a time', async () => {
    const { bob } = await twoPeople();
    const { session: transport, store } = bob;
    const inbox = new Inbox({ transport, store, handler: keeping });
    const stopping = new AbortController();
    const running = inbox.run(stopping.signal);
    await expect(inbox.run(stopping.signal)).rejects.toThrow('runs already');
    stopping.abort();
    expect(await running).toBe('stopped');
  });
});

describe('an inbox on a bad line', () => {
  test('gets every message once, in order, through many cuts', async () => {
    const proxy = await FaultProxy.to(inject('endpoints').messaging);
    const { ann, bob, conversation } = await twoPeople({ messaging: proxy.endpoint });
    const inbox = runInbox(bob);
    for (let i = 1; i <= 60; ++i) {
      await send(ann.session, conversation, `message ${i}`);
      if (i % 4 === 0) proxy.cut();
    }
    await until('all messages', 20, async () => (await received(bob)).length === 60);
    expect(await received(bob)).toEqual(texts(1, 60));
    expect(inbox.problems.length).toBeGreaterThan(0);
    await inbox.stop();
    await until('the acknowledgement', 10, async () => {
      return (await acknowledged(bob, conversation)) === 60n;
    });
    await proxy.close();
  });

  test('notices that a connection has died in silence', async () => {
    const proxy = await FaultProxy.to(inject('endpoints').messaging);
    const { ann, bob, conversation } = await twoPeople({ messaging: proxy.endpoint });
    const inbox = runInbox(bob, { silenceMs: 1500 });
    await until('the stream to catch up', 10, () => isLive(inbox));
    const before = proxy.accepted;
    proxy.stall();
    await send(ann.session, conversation, 'message 1');
    await until('the message', 10, async () => (await received(bob)).length === 1);
    expect(proxy.accepted).toBeGreaterThan(before);
    expect(inbox.problems[0]?.message).toContain('silent for 1500 ms');
    await inbox.stop();
    await proxy.close();
  });

  test('waits longer and longer for a server that is not there', async () => {
    const proxy = await FaultProxy.to(inject('endpoints').messaging);
    const { bob } = await twoPeople({ messaging: proxy.endpoint });
    await proxy.close();
    const inbox = runInbox(bob, { backoff: { firstMs: 10, capMs: 80 }, random: () => 0.999 });
    const waits = () =>
      inbox.statuses.flatMap((status) => (status.kind === 'waiting' ? [Math.ceil(status.ms)] : []));
    await until('six attempts', 10, () => waits().length >= 6);
    expect(waits().slice(0, 6)).toEqual([10, 20, 40, 80, 80, 80]);
    expect(inbox.problems[0]?.code).toBe('UNAVAILABLE');
    expect(await inbox.stop()).toBe('stopped');
  });

  test('survives that messaging is killed', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const inbox = runInbox(bob);
    await until('the stream to catch up', 10, () => isLive(inbox));
    await sendAll(ann.session, conversation, texts(1, 5));
    endMessaging('SIGKILL');
    await sendAll(ann.session, conversation, texts(6, 10));
    await until('all messages', 20, async () => (await received(bob)).length === 10);
    expect(await received(bob)).toEqual(texts(1, 10));
    await inbox.stop();
    expect(await acknowledged(bob, conversation)).toBe(10n);
  });

  test('waits as long as a server asks that is being stopped', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const inbox = runInbox(bob);
    await until('the stream to catch up', 10, () => isLive(inbox));
    endMessaging('SIGTERM');
    const farewell = await until('the farewell', 10, () =>
      inbox.statuses.find(({ kind }) => kind === 'waiting'),
    );
    expect(farewell).toEqual({ kind: 'waiting', ms: expect.any(Number) });
    await send(ann.session, conversation, 'message 1');
    await until('the message', 20, async () => (await received(bob)).length === 1);
  });
});

/** Ends this deployment's messaging process; `handrail up` starts it again. */
function endMessaging(signal: 'SIGKILL' | 'SIGTERM'): void {
  const processes = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const ours = processes.find(
    (line) => line.includes('handrail_messaging') && line.includes(inject('folder')),
  );
  if (ours === undefined) throw new Error('messaging does not run');
  process.kill(Number.parseInt(ours, 10), signal);
}
