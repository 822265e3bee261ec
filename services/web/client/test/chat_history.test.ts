import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { create } from '@bufbuild/protobuf';

import { ConversationSchema, ConversationState, GapSchema } from '../src/api.ts';
import { History, attachmentsOf } from '../src/chat/history.ts';
import type { HistoryOptions, Numbered } from '../src/chat/history.ts';
import { putGroup } from '../src/conversations/records.ts';
import type { Standing } from '../src/conversations/records.ts';
import { SealedStore } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { withFolder } from './support/folders.ts';

const CONVERSATION = 'conversations/c';
const CHEAP = { cost: { memoryKib: 64, passes: 1 } };

/** Who is in the group is the state itself, a letter each. */
const engine: HistoryOptions['engine'] = {
  view: (state) => ({
    groupId: new Uint8Array(),
    epoch: 1n,
    active: true,
    members: [...new TextDecoder().decode(state)].map((letter, leafIndex) => ({
      device: `devices/${letter}`,
      signatureKey: new Uint8Array(),
      leafIndex,
    })),
  }),
  authenticator: async (state) => `number of ${new TextDecoder().decode(state)}`,
};

function withHistory(step: (history: History, store: SealedStore) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const store = await SealedStore.create(await FileStore.open(folder), 'a passphrase', CHEAP);
    let time = 1000;
    await step(new History({ store, engine, now: () => (time += 1) }), store);
    await store.close();
  });
}

const sent = (store: SealedStore, history: History, sequence: bigint, messageId: string) =>
  store.transact((transaction) =>
    history.handler.sent!(transaction, {
      conversation: CONVERSATION,
      sequence,
      messageId,
      text: `text ${sequence}`,
    }),
  );

async function regroup(
  store: SealedStore,
  history: History,
  devices: string,
  standing: Standing = 'in',
): Promise<Numbered> {
  await store.transact(async (transaction) => {
    const state = new TextEncoder().encode(devices);
    putGroup(transaction, CONVERSATION, { state, joined: 1n, standing });
    await history.handler.groupChanged!(transaction, CONVERSATION);
  });
  return (await history.after(CONVERSATION, 0)).at(-1)!;
}

describe('the history', () => {
  test('keeps lines in order, with numbers of its own', () =>
    withHistory(async (history, store) => {
      await sent(store, history, 4n, 'one');
      await store.transact((transaction) =>
        history.handler.gap!(
          transaction,
          create(GapSchema, {
            conversation: CONVERSATION,
            firstSequence: 5n,
            lastSequence: 6n,
          }),
        ),
      );
      await sent(store, history, 7n, 'two');
      const lines = await history.after(CONVERSATION, 0);
      expect(lines.map(({ number, kind }) => [number, kind])).toEqual([
        [1, 'sent'],
        [2, 'gap'],
        [3, 'sent'],
      ]);
      expect((await history.after(CONVERSATION, 2)).map(({ number }) => number)).toEqual([3]);
      expect(await history.fate(CONVERSATION, 'two')).toEqual({ sequence: '7' });
      expect(await history.fate(CONVERSATION, 'never')).toBe(undefined);
      // The same id elsewhere is another message, which was not said.
      expect(await history.fate('conversations/d', 'two')).toBe(undefined);
    }));

  test('keeps the files of a message, and nothing of them in the clear', () =>
    withFolder(async (folder) => {
      const files = await FileStore.open(folder);
      const store = await SealedStore.create(files, 'a passphrase', CHEAP);
      const history = new History({ store, engine });
      const file = { id: 'attachments/f', key: 'ab'.repeat(32), digest: 'd', size: 3 };
      const attachments = [{ ...file, name: 'the name of it', mediaType: 'text/plain' }];
      const said = { conversation: CONVERSATION, messageId: 'm', text: 'look', attachments };
      await store.transact(async (transaction) => {
        const from = { sender: 'members/2', senderDevice: 'devices/2', reportable: true };
        await history.handler.message(transaction, { ...said, ...from, sequence: 1n, time: 5 });
        await history.handler.sent!(transaction, { ...said, sequence: 2n });
        await history.handler.refused!(transaction, { ...said, reason: 'CONVERSATION_CLOSED' });
      });
      const lines = await history.after(CONVERSATION, 0);
      expect(lines.map(({ kind }) => kind)).toEqual(['message', 'sent', 'refused']);
      for (const line of lines) expect(attachmentsOf(line)).toEqual(attachments);
      await store.close();
      const paths = (await readdir(folder)).map((name) => join(folder, name));
      const bytes = Buffer.concat(await Promise.all(paths.map((path) => readFile(path))));
      expect(bytes.includes('talk/line/')).toBe(true);
      expect(bytes.includes('the name of it')).toBe(false);
      expect(bytes.includes('abab')).toBe(false);
    }));

  test('has nothing of a transaction that failed', () =>
    withHistory(async (history, store) => {
      const failing = store.transact(async (transaction) => {
        const text = 'lost';
        const message = { conversation: CONVERSATION, sequence: 1n, messageId: 'x', text };
        await history.handler.sent!(transaction, message);
        throw new Error('the disk is full');
      });
      await expect(failing).rejects.toThrow('the disk is full');
      expect(await history.after(CONVERSATION, 0)).toEqual([]);
    }));

  test('marks what was shown, and never backwards', () =>
    withHistory(async (history) => {
      expect(await history.shown(CONVERSATION)).toBe(0);
      await history.markShown(CONVERSATION, 5);
      await history.markShown(CONVERSATION, 3);
      expect(await history.shown(CONVERSATION)).toBe(5);
    }));

  test('says who came and went', () =>
    withHistory(async (history, store) => {
      expect(await regroup(store, history, 'ab')).toMatchObject({
        begun: true,
        added: ['devices/a', 'devices/b'],
        count: 2,
        verification: 'number of ab',
        compared: 'never',
      });
      expect(await regroup(store, history, 'bc')).toMatchObject({
        begun: false,
        added: ['devices/c'],
        removed: ['devices/a'],
      });
      expect(await regroup(store, history, 'bc', 'lost')).toMatchObject({
        standing: 'lost',
        added: [],
        removed: [],
        count: 0,
      });
      // What changed while it was out.
      expect(await regroup(store, history, 'bd')).toMatchObject({
        begun: true,
        added: ['devices/d'],
        removed: ['devices/c'],
      });
    }));

  test('tells when other devices can read than when people compared', () =>
    withHistory(async (history, store) => {
      await regroup(store, history, 'ab');
      const devices = ['devices/a', 'devices/b'];
      await history.markCompared(CONVERSATION, { devices, verification: 'number of ab' });
      expect(await regroup(store, history, 'ba')).toMatchObject({ compared: 'same-devices' });
      expect(await regroup(store, history, 'abc')).toMatchObject({ compared: 'other-devices' });
    }));

  test('has a line when a conversation is closed, once', () =>
    withHistory(async (history) => {
      const say = (state: ConversationState) =>
        history.noteConversation(
          create(ConversationSchema, { name: CONVERSATION, members: ['m', 'n'], state }),
        );
      await say(ConversationState.OPEN);
      expect(await history.after(CONVERSATION, 0)).toEqual([]);
      await say(ConversationState.CLOSED);
      await say(ConversationState.CLOSED);
      expect(await history.after(CONVERSATION, 0)).toMatchObject([
        { kind: 'conversation', state: 'closed' },
      ]);
      expect(await history.known(CONVERSATION)).toEqual({ members: ['m', 'n'], state: 'closed' });
      expect(await history.conversations()).toEqual([CONVERSATION]);
    }));
});
