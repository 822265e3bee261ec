import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import { GroupDeviceState, GroupSchema } from '../src/api.ts';
import type { Group } from '../src/api.ts';
import { GroupChanges } from '../src/conversations/group_changes.ts';
import type { GroupChangesOptions } from '../src/conversations/group_changes.ts';
import { putGroup } from '../src/conversations/records.ts';
import { SealedStore } from '../src/index.ts';
import type { Transport } from '../src/index.ts';
import { MemoryStore } from './support/memory_store.ts';

const CHEAP = { cost: { memoryKib: 64, passes: 1 } };
const TALK = 'conversations/1';
const OWN = 'devices/own';
const GROUP = new Uint8Array(16).fill(1);
const { IN_GROUP, OUTSIDE } = GroupDeviceState;

/** A group at epoch 5, in which the server says that this device is so. */
const atServer = (state: GroupDeviceState) =>
  create(GroupSchema, {
    groupId: GROUP,
    epoch: 5n,
    devices: [
      { member: 'members/own', device: OWN, state },
      { member: 'members/other', device: 'devices/other', state: IN_GROUP },
    ],
  });

/** A device whose state is of epoch 2, and what it asks of the server. */
async function behind(server: Group, fetch: () => void = () => {}) {
  const store = await SealedStore.create(new MemoryStore(), 'a passphrase', CHEAP);
  await store.transact(async (transaction) =>
    putGroup(transaction, TALK, { state: Uint8Array.of(2), joined: 1n, standing: 'in' }),
  );
  const calls: string[] = [];
  const unary = async ({ name }: { readonly name: string }) => {
    calls.push(name);
    return server;
  };
  const view = ([epoch = 0]: Uint8Array) => ({
    groupId: GROUP,
    epoch: BigInt(epoch),
    active: true,
    members: [OWN, 'devices/other'].map((device, leafIndex) => {
      return { device, leafIndex, signatureKey: new Uint8Array() };
    }),
  });
  const changes = new GroupChanges({
    transport: { unary } as unknown as Transport,
    store,
    engine: { view },
    deviceKey: { device: OWN },
    inbox: { fetch: async () => fetch() },
    onServer: async () => {},
    onProblem: () => {},
    random: () => 0,
  } as unknown as GroupChangesOptions);
  return { changes, calls, store };
}

describe('a device that is behind its group', () => {
  test('and was put out of it asks once, and waits until it is let in', async () => {
    const { changes, calls } = await behind(atServer(OUTSIDE));
    await expect(changes.settle(TALK, 'tidy')).rejects.toMatchObject({ fault: 'not-in-group' });
    expect(calls).toEqual(['GetGroup']);
  });

  test('and is no device of the conversation for the server does the same', async () => {
    const nobody = create(GroupSchema, { ...atServer(IN_GROUP), devices: [] });
    const { changes, calls } = await behind(nobody);
    await expect(changes.settle(TALK, 'start')).rejects.toMatchObject({ fault: 'not-in-group' });
    expect(calls).toEqual(['GetGroup']);
  });

  test('and is counted in tries until it has read what it lacks', async () => {
    let reads = 0;
    const { changes, calls, store } = await behind(atServer(IN_GROUP), () => void ++reads);
    const settled = changes.settle(TALK, 'tidy');
    await expect(settled).rejects.toMatchObject({ fault: 'contended' });
    expect([reads, calls.length]).toEqual([12, 12]);
    await store.transact(async (transaction) =>
      putGroup(transaction, TALK, { state: Uint8Array.of(5), joined: 1n, standing: 'in' }),
    );
    expect(await changes.settle(TALK, 'tidy')).toBe('whole');
  });
});
