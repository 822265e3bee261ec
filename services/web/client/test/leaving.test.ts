import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';

import { EnvelopeKind, EnvelopeSchema } from '../src/api.ts';
import { putGroup, putOutbox } from '../src/conversations/records.ts';
import { Steps } from '../src/conversations/steps.ts';
import { SealedStore } from '../src/index.ts';
import { Devices } from './devices.ts';
import { MemoryStore } from './support/memory_store.ts';

const TALK = 'conversations/1';
const idOf = (digit: string) => digit.repeat(32);

test('who leaves is told once of all that they said, delivered or not', async () => {
  const cost = { memoryKib: 64, passes: 1 };
  const store = await SealedStore.create(new MemoryStore(), 'a passphrase', { cost });
  const devices = new Devices();
  const { device } = devices.make();
  const told: string[] = [];
  const steps = new Steps({
    engine: await devices.engine(),
    keyPackages: { secretFor: async () => undefined, spend: async () => {} },
    device,
    handler: {
      message: async () => {},
      sent: async (_, { text, sequence }) => void told.push(`sent ${text} ${sequence}`),
      refused: async (_, { text }) => void told.push(`refused ${text}`),
      unreadable: async (_, { reason }) => void told.push(`unreadable ${reason}`),
      groupChanged: async () => void told.push('group changed'),
    },
  });
  await store.transact(async (transaction) => {
    putGroup(transaction, TALK, { state: new Uint8Array(1), joined: 1n, standing: 'in' });
    putOutbox(transaction, TALK, [
      { messageId: idOf('a'), text: 'delivered', message: '00', sequence: '7' },
      { messageId: idOf('b'), text: 'waiting' },
    ]);
  });
  const leave = () => store.transact((transaction) => steps.left(transaction, TALK));
  await leave();
  const all = ['refused waiting', 'sent delivered 7', 'group changed'];
  expect(told).toEqual(all);
  // Again, and an echo that was on its way.
  await leave();
  const echo = create(EnvelopeSchema, {
    conversation: TALK,
    sequence: 7n,
    messageId: idOf('a'),
    senderDevice: device,
    kind: EnvelopeKind.APPLICATION,
    payload: new Uint8Array(1),
  });
  await store.transact((transaction) => steps.envelope(transaction, echo));
  expect(told).toEqual(all);
  expect(await store.list('outbox/')).toEqual([]);
});
