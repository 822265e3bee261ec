import { afterAll, beforeAll, expect, inject, test } from 'vitest';

import { MessagingService } from '../../src/api.ts';
import { Session } from '../../src/index.ts';
import { Browser, call } from '../support/browser.ts';
import { gatewayTo } from '../support/gateway.ts';
import { newDevice, openStore, pair, send, temporaryFolder, transportTo } from './people.ts';
import type { Device } from './people.ts';
import { allHave, talker } from './talkers.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await Browser.open(gatewayTo(inject('endpoints')));
});

afterAll(() => browser?.close());

/** The device of a page, as its owner's other hand: signed in from here with the same key. */
async function outside(record: string): Promise<Device> {
  const folder = temporaryFolder();
  const store = await openStore(folder);
  const bytes = new TextEncoder().encode(record);
  await store.transact(async (transaction) => transaction.put('device', bytes));
  return { folder, store, session: await Session.signIn(transportTo(), store) };
}

test('a page signs in, and is told what is wrong with a call', async () => {
  const page = await browser.openTab();
  const member = await call(page, 'signIn', 'errors');
  expect(member).toMatch(/^members\/[0-9a-f]{32}$/);
  expect(await call(page, 'signIn', 'errors')).toBe(member);
  expect(await call(page, 'refusal', 'errors')).toEqual([
    'INVALID_ARGUMENT',
    'FIELD_INVALID',
    ['page_size'],
  ]);
});

test('a page receives, stores, and acknowledges', async () => {
  const page = await browser.openTab();
  await call(page, 'signIn', 'bob');
  const [ann, bob] = await Promise.all([
    newDevice(),
    outside(await call(page, 'deviceKey', 'bob')),
  ]);
  const conversation = await pair(ann, bob, 'bg');
  await send(ann.session, conversation, 'before');
  const receiving = call(page, 'receive', 'bob', 2);
  await send(ann.session, conversation, 'and while it listens');
  expect(await receiving).toEqual(['before', 'and while it listens']);
  const { ackedSequence } = await bob.session.unary(MessagingService.method.getConversation, {
    name: conversation,
  });
  expect(ackedSequence).toBe(2n);
});

test('a page and an app in Node talk so that only they can read it', async () => {
  const page = await browser.openTab();
  await call(page, 'publish', 'talker');
  const [node, twin] = await Promise.all([
    newDevice(),
    outside(await call(page, 'deviceKey', 'talker')),
  ]);
  const conversation = await pair(node, twin, 'mk');
  const ann = await talker(node);
  await ann.conversations.start(conversation);
  await ann.conversations.send(conversation, 'hello, page');
  await ann.conversations.flush(conversation);
  ann.run();
  const heard = await call(page, 'converse', 'talker', conversation, 'hello, Node', 2);
  expect(heard.lines).toEqual(['hello, page', 'hello, Node']);
  await allHave([ann], ['hello, page', 'hello, Node']);
  expect(heard.digits).toBe(await ann.conversations.authenticator(conversation));
  expect(await call(page, 'file', 'talker', conversation, 200_000)).toBe(true);
});
