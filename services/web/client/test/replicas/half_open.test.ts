// Connections on which nothing comes and goes any more, and which look alive at both ends: what a
// phone leaves behind that drives into a tunnel.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { MessagingService } from '../../src/api.ts';
import { Inbox } from '../../src/index.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { insist, until } from '../support/until.ts';
import { newClient } from './clients.ts';
import type { Client } from './clients.ts';
import { Deployment } from './deployment.ts';
import { newId } from './groups.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start(2);
});
afterAll(() => deployment?.stop());

/** Receives until the signal; gives the lines as they come. */
function receive({ session, store }: Client, signal: AbortSignal) {
  const lines: string[] = [];
  const live: number[] = [];
  const inbox = new Inbox({
    transport: session,
    store,
    handler: {
      envelope: async (_, { payload }) => {
        lines.push(new TextDecoder().decode(payload));
      },
    },
    backoff: { firstMs: 20, capMs: 200 },
    onStatus: ({ kind }) => {
      if (kind === 'caught-up') live.push(lines.length);
    },
  });
  const end = inbox.run(signal);
  end.catch(() => {});
  return { lines, live, end };
}

test('a stream on one is freed, and what was said comes on the next', async () => {
  const [first, second] = deployment.replicas;
  const proxy = await FaultProxy.to(first!.address, second!.address);
  const ann = await newClient(deployment, second!.address);
  const bob = await newClient(deployment, proxy.endpoint);
  const conversation = await deployment.open([ann.session.member, bob.session.member]);
  const say = (text: string) => {
    const payload = new TextEncoder().encode(text);
    const request = { conversation, messageId: newId(), payload };
    return insist(text, () => ann.session.unary(MessagingService.method.sendMessage, request));
  };
  const streams = () => deployment.metric(first!, 'handrail_messaging_streams');

  const tunnel = new AbortController();
  const before = receive(bob, tunnel.signal);
  await until('the stream', 60, () => before.live.length > 0);
  expect(await streams()).toBe(1);
  await say('one');
  await until('a message', 60, () => before.lines.length === 1);
  proxy.stall();
  await say('two');

  // The app is put away meanwhile: nobody at this end says that the connection is over either.
  tunnel.abort();
  await before.end;
  bob.session.reconnect();
  expect(await streams()).toBe(1);
  const since = Date.now();
  await until('the replica to free the stream', 240, async () => (await streams()) === 0);
  console.info(`freed after ${Math.round((Date.now() - since) / 1000)} s`);
  expect(proxy.open).toBe(1);

  await say('three');
  const stopping = new AbortController();
  const after = receive(bob, stopping.signal);
  await until('the rest', 60, () => after.lines.length === 2);
  expect(after.lines).toEqual(['two', 'three']);
  expect(proxy.accepted).toBe(2);
  stopping.abort();
  expect(await after.end).toBe('stopped');
  ann.session.close();
  bob.session.close();
  await proxy.close();
});
