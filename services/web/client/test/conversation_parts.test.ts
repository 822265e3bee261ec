import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import { GroupDeviceState, GroupSchema } from '../src/api.ts';
import { decodeContent, encodeContent } from '../src/conversations/content.ts';
import { isNothing, planChange } from '../src/conversations/plan.ts';
import { Serial } from '../src/conversations/serial.ts';
import { DeviceTrust, SealedStore, TsMlsEngine } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { Devices, utf8 } from './devices.ts';
import { withFolder } from './support/folders.ts';

const { IN_GROUP, OUTSIDE, REVOKED } = GroupDeviceState;
const OWN = 'devices/own';

function group(devices: Record<string, GroupDeviceState>) {
  const list = Object.entries(devices).map(([device, state]) => ({ device, state }));
  return create(GroupSchema, { devices: list });
}

function tree(...devices: string[]) {
  const members = devices.map((device, leafIndex) => {
    return { device, leafIndex, signatureKey: new Uint8Array() };
  });
  return { groupId: new Uint8Array(), epoch: 1n, members, active: true };
}

describe('a plan', () => {
  const cases: [string, ReturnType<typeof group>, ReturnType<typeof tree> | undefined, object][] = [
    [
      'of a new group holds all devices but the own one',
      group({ [OWN]: OUTSIDE, b: OUTSIDE, a: OUTSIDE }),
      undefined,
      { add: ['a', 'b'], remove: [], removedAtServer: [] },
    ],
    [
      'of a group that is as it should be is nothing',
      group({ [OWN]: IN_GROUP, a: IN_GROUP }),
      tree(OWN, 'a'),
      { add: [], remove: [], removedAtServer: [] },
    ],
    [
      'lets in who is outside, and puts out who was revoked',
      group({ [OWN]: IN_GROUP, a: REVOKED, b: OUTSIDE }),
      tree(OWN, 'a'),
      { add: ['b'], remove: ['a'], removedAtServer: ['a'] },
    ],
    [
      'puts out of the tree who is no device of a member',
      group({ [OWN]: IN_GROUP, a: IN_GROUP }),
      tree(OWN, 'a', 'stranger'),
      { add: [], remove: ['stranger'], removedAtServer: [] },
    ],
    [
      'adds again who is counted in and has no place in the tree',
      group({ [OWN]: IN_GROUP, a: IN_GROUP }),
      tree(OWN),
      { add: ['a'], remove: [], removedAtServer: ['a'] },
    ],
    [
      'replaces who is in the tree and not counted in',
      group({ [OWN]: IN_GROUP, a: OUTSIDE }),
      tree(OWN, 'a'),
      { add: ['a'], remove: ['a'], removedAtServer: [] },
    ],
    [
      'tells the server of a revoked device that the tree has lost already',
      group({ [OWN]: IN_GROUP, a: REVOKED }),
      tree(OWN),
      { add: [], remove: [], removedAtServer: ['a'] },
    ],
    [
      'never puts the own device out',
      group({ [OWN]: REVOKED, a: IN_GROUP }),
      tree(OWN, 'a'),
      { add: [], remove: [], removedAtServer: [] },
    ],
  ];
  test.each(cases)('%s', (_, server, view, expected) => {
    const plan = planChange(server, view, OWN);
    expect(plan).toEqual(expected);
    expect(isNothing(plan)).toBe(Object.values(expected).every((list) => list.length === 0));
  });
});

describe('content', () => {
  test('is what it was', () => {
    const content = { id: '0'.repeat(32), text: 'naïve "words"\n🙂' };
    expect(decodeContent(encodeContent(content))).toEqual(content);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['null', 'null'],
    ['another form', '["v", 1]'],
    ['another version', '{"v":2,"id":"a","text":"b"}'],
    ['no text', '{"v":1,"id":"a"}'],
    ['a text that is none', '{"v":1,"id":"a","text":5}'],
  ])('is refused: %s', (_, bytes) => expect(decodeContent(utf8(bytes))).toBe(undefined));

  test('is refused: no UTF-8', () => {
    const bytes = encodeContent({ id: 'a', text: 'b' });
    bytes[bytes.length - 3] = 0xff;
    expect(decodeContent(bytes)).toBe(undefined);
  });
});

test('steps of one name wait for each other, also after a failure', async () => {
  const serial = new Serial();
  const done: string[] = [];
  let release = () => {};
  const first = serial.run('a', async () => {
    await new Promise<void>((go) => (release = go));
    done.push('a1');
    throw new Error('broken');
  });
  const second = serial.run('a', async () => done.push('a2'));
  await serial.run('b', async () => done.push('b1'));
  expect(done).toEqual(['b1']);
  release();
  await expect(first).rejects.toThrow('broken');
  await second;
  expect(done).toEqual(['b1', 'a1', 'a2']);
});

describe('device trust', () => {
  const onStore = (step: (trust: DeviceTrust, again: DeviceTrust, own: Own) => Promise<void>) =>
    withFolder(async (folder) => {
      const cost = { memoryKib: 64, passes: 1 };
      const files = await FileStore.open(folder);
      const store = await SealedStore.create(files, 'a passphrase', { cost });
      const own = new Devices().make();
      await step(new DeviceTrust(store, own), new DeviceTrust(store, own), own);
      await store.close();
    });
  type Own = ReturnType<Devices['make']>;
  const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

  test('keeps the first key of a device, also when the app starts anew', () =>
    onStore(async (trust, again) => {
      expect(await trust.verify('devices/a', one)).toBe(true);
      expect(await trust.verify('devices/a', one)).toBe(true);
      expect(await again.verify('devices/a', other)).toBe(false);
      expect(await again.verify('devices/b', other)).toBe(true);
    }));

  test('takes no other key for the own device', () =>
    onStore(async (trust, _, own) => {
      expect(await trust.verify(own.device, own.publicKey)).toBe(true);
      expect(await trust.verify(own.device, one)).toBe(false);
    }));

  test('that fails is no fault of the message: the failure comes out as it is', async () => {
    const devices = new Devices();
    const [ann, bob] = [devices.make(), devices.make()];
    const engine = await devices.engine();
    const broken = await TsMlsEngine.create({
      verifyDevice: async () => {
        throw new Error('the disk is full');
      },
    });
    const alone = await engine.createGroup(ann, utf8('group'));
    const { message } = await engine.createKeyPackage(bob);
    await expect(broken.commit(alone, { add: [message] })).rejects.toThrow('the disk is full');
    expect((await engine.commit(alone, { add: [message] })).welcome).toBeDefined();
  });
});
