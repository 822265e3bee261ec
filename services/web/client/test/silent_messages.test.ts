import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';

import { EnvelopeKind, EnvelopeSchema } from '../src/api.ts';
import { Steps } from '../src/conversations/steps.ts';
import { SealedStore } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { Devices } from './devices.ts';
import { withFolder } from './support/folders.ts';

/** What the person is told of a message that comes, as these bytes, before there is a group. */
const toldOf = (payload: Uint8Array) =>
  withFolder(async (folder) => {
    const cost = { memoryKib: 64, passes: 1 };
    const store = await SealedStore.create(await FileStore.open(folder), 'a passphrase', { cost });
    const devices = new Devices();
    const told: string[] = [];
    const steps = new Steps({
      engine: await devices.engine(),
      keyPackages: { secretFor: async () => undefined, spend: async () => {} },
      device: devices.make().device,
      handler: {
        message: async (_, { text }) => void told.push(text),
        unreadable: async (_, { reason }) => void told.push(reason),
      },
    });
    const envelope = create(EnvelopeSchema, {
      conversation: 'conversations/a',
      sequence: 1n,
      senderDevice: 'devices/other',
      kind: EnvelopeKind.APPLICATION,
      payload,
    });
    await store.transact((transaction) => steps.envelope(transaction, envelope));
    await store.close();
    return told;
  });

test('of a message without content, by who is blocked, nothing is shown', async () => {
  expect(await toldOf(new Uint8Array())).toEqual([]);
  expect(await toldOf(new Uint8Array(1))).toEqual(['before-joining']);
});
