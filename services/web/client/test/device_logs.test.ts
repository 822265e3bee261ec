import { describe, expect, test } from 'vitest';

import { create } from '@bufbuild/protobuf';

import { DeviceLogEntrySchema, DeviceLogKind, GroupDeviceState, GroupSchema } from '../src/api.ts';
import { deviceLogHash } from '../src/conversations/device_logs.ts';
import { DeviceWatch } from '../src/conversations/device_watch.ts';
import { DeviceLogs, DeviceTrust, HandrailError, SealedStore } from '../src/index.ts';
import type { BrokenDeviceLog, DevicesChange, Transaction } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { DeviceLogServer } from './support/device_log_server.ts';
import { withFolder } from './support/folders.ts';

const CHEAP = { cost: { memoryKib: 64, passes: 1 } };
const id = (digit: string) => digit.repeat(32);
const MEMBER = `members/${id('1')}`;
const [PHONE, TABLET, LAPTOP] = ['a', 'b', 'c'].map((digit) => `devices/${id(digit)}`) as [
  string,
  string,
  string,
];
const key = (byte: number) => new Uint8Array(32).fill(byte);
const OWN = { device: `devices/${id('f')}`, publicKey: key(15), privateKey: key(0) };

interface Watching {
  readonly server: DeviceLogServer;
  readonly store: SealedStore;
  readonly trust: DeviceTrust;
  readonly changes: DevicesChange[];
  readonly broken: BrokenDeviceLog[];
  logs(): DeviceLogs;
}

function watching(step: (watch: Watching) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const store = await SealedStore.create(await FileStore.open(folder), 'a passphrase', CHEAP);
    const server = new DeviceLogServer(MEMBER).add('added', PHONE, key(1));
    const changes: DevicesChange[] = [];
    const broken: BrokenDeviceLog[] = [];
    const handler = {
      devicesChanged: async (transaction: Transaction, change: DevicesChange) => {
        changes.push(change);
        transaction.put(`told/${changes.length}`, new Uint8Array());
      },
      deviceLogBroken: async (_: unknown, fault: BrokenDeviceLog) => void broken.push(fault),
    };
    const trust = new DeviceTrust(store, OWN);
    const logs = () =>
      new DeviceLogs({ transport: server.transport, store, deviceKey: OWN, handler, now: () => 7 });
    await step({ server, store, trust, changes, broken, logs });
    await store.close();
  });
}

const count = (first: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => first + i);

describe('the hash of an entry', () => {
  // The same vectors stand in services/messaging/domain/device_log_test.cc.
  test('is what the server computes', () => {
    const member = 'members/000102030405060708090a0b0c0d0e0f';
    const entry = create(DeviceLogEntrySchema, {
      index: 1n,
      kind: DeviceLogKind.ADDED,
      device: 'devices/101112131415161718191a1b1c1d1e1f',
      publicKey: count(32, 32),
      createTime: { seconds: 1_767_225_600n, nanos: 123_456_000 },
      previousHash: new Uint8Array(32),
    });
    const hex = () => Buffer.from(deviceLogHash(member, entry)).toString('hex');
    expect(hex()).toBe('aea335f8183d9e4f1b38c05cfbfcb954344d631982fdc9d0fb92949f09ba0497');
    entry.previousHash = deviceLogHash(member, entry);
    entry.index = 2n;
    entry.kind = DeviceLogKind.REVOKED;
    entry.createTime = { ...entry.createTime!, seconds: 1_767_225_601n, nanos: 0 };
    expect(hex()).toBe('901c0dd77fff127cce28961d44913bbf902883f63de28b697c1ff6e596109b77');
  });
});

describe('a device log', () => {
  test('is told of when it changes, and not of what was there at first', () =>
    watching(async ({ server, changes, broken, logs }) => {
      expect((await logs().look(MEMBER)).devices.map(({ device }) => device)).toEqual([PHONE]);
      await logs().look(MEMBER);
      expect(changes).toEqual([]);
      server.add('added', TABLET, key(2)).add('revoked', PHONE, key(1));
      const { devices, index } = await logs().look(MEMBER);
      expect(changes).toEqual([{ member: MEMBER, since: 7, added: [TABLET], removed: [PHONE] }]);
      expect(devices.map(({ device, removed }) => [device, removed !== undefined])).toEqual([
        [PHONE, true],
        [TABLET, false],
      ]);
      expect(index).toBe('3');
      await logs().look(MEMBER);
      expect(changes).toHaveLength(1);
      expect(broken).toEqual([]);
    }));

  test('is read in pages, and only what is new', () =>
    watching(async ({ server, logs }) => {
      for (let i = 0; i < 6; ++i) {
        server.add('added', TABLET, key(2)).add('revoked', TABLET, key(2));
      }
      server.pageSize = 4;
      expect((await logs().look(MEMBER)).index).toBe('13');
      expect(server.calls).toBe(4);
      await logs().look(MEMBER);
      expect(server.calls).toBe(5);
    }));

  test('that two tabs read at once is told of once', () =>
    watching(async ({ server, store, changes, logs }) => {
      await logs().look(MEMBER);
      server.add('added', TABLET, key(2));
      const read = await Promise.all([logs().look(MEMBER), logs().look(MEMBER)]);
      expect(read.map(({ index }) => index)).toEqual(['2', '2']);
      expect(changes.length).toBeGreaterThanOrEqual(1);
      expect(await store.list('told/')).toHaveLength(1);
    }));

  test('says with which key a device is trusted', () =>
    watching(async ({ trust, logs }) => {
      await logs().look(MEMBER);
      expect(await trust.verify(PHONE, key(9))).toBe(false);
      expect(await trust.verify(PHONE, key(1))).toBe(true);
    }));

  test('of somebody who has none is empty', () =>
    watching(async ({ server, changes, logs }) => {
      server.entries = [];
      expect((await logs().look(MEMBER)).index).toBe('0');
      server.add('added', PHONE, key(1));
      await logs().look(MEMBER);
      expect(changes).toMatchObject([{ added: [PHONE], removed: [] }]);
    }));

  type Lie = readonly [string, string, (server: DeviceLogServer) => unknown];
  const lies: Lie[] = [
    ['whose end is gone', 'shortened', ({ entries }) => entries.pop()],
    ['that is gone', 'shortened', (server) => (server.entries = [])],
    [
      'whose newest entry is another',
      'rewritten',
      (server) => {
        server.entries[2]!.publicKey = key(9);
        server.mendHashes();
      },
    ],
    [
      'that was written anew and is longer',
      'rewritten',
      (server) => {
        server.entries[1]!.device = LAPTOP;
        server.mendHashes().add('added', LAPTOP, key(3));
      },
    ],
    [
      'that lost an entry in the middle and got one more',
      'rewritten',
      (server) => {
        server.entries.splice(1, 1);
        server.mendHashes().add('added', TABLET, key(2)).add('added', LAPTOP, key(3));
      },
    ],
    [
      'whose next entry is not of its hash',
      'malformed',
      (server) => {
        server.add('added', LAPTOP, key(3));
        server.entries.at(-1)!.publicKey = key(9);
      },
    ],
    [
      'that leaves an entry out',
      'rewritten',
      (server) => {
        server.add('added', LAPTOP, key(3)).add('revoked', LAPTOP, key(3));
        server.entries.splice(-2, 1);
      },
    ],
    ['that adds what is there', 'malformed', (server) => server.add('added', TABLET, key(2))],
    ['that removes what is not', 'malformed', (server) => server.add('revoked', LAPTOP, key(2))],
    ['with a key of no length', 'malformed', (server) => server.add('added', LAPTOP, key(3).slice(1))],
    ['with a device of no name', 'malformed', (server) => server.add('added', 'devices/x', key(3))],
    ['of a kind that is none', 'malformed', (server) => {
      server.add('added', LAPTOP, key(3)).entries.at(-1)!.kind = 7 as DeviceLogKind;
      server.mendHashes();
    }],
    ['of a time that is none', 'malformed', (server) => {
      const { createTime } = server.add('added', LAPTOP, key(3)).entries.at(-1)!;
      createTime!.seconds = 1n << 60n;
    }],
    ['of half a microsecond', 'malformed', (server) => {
      server.add('added', LAPTOP, key(3)).entries.at(-1)!.createTime!.nanos = 500;
    }],
    ['with another key of a device', 'other-key', (server) => {
      server.add('revoked', TABLET, key(2)).add('added', TABLET, key(9));
    }],
    ['with another key of this device', 'other-key', (server) => {
      server.add('added', OWN.device, key(9));
    }],
  ];
  for (const [what, fault, lie] of lies) {
    test(`${what} is told of once, and what was known stays`, () =>
      watching(async ({ server, changes, broken, logs }) => {
        server.add('revoked', PHONE, key(1)).add('added', TABLET, key(2));
        const known = await logs().look(MEMBER);
        lie(server);
        expect(await logs().look(MEMBER)).toEqual({ ...known, broken: fault });
        await logs().look(MEMBER);
        expect(broken).toEqual([{ member: MEMBER, fault }]);
        expect(changes).toEqual([]);
      }));
  }

  test('that gives a device another key than it has shown is not taken', () =>
    watching(async ({ trust, broken, logs }) => {
      expect(await trust.verify(PHONE, key(9))).toBe(true);
      await logs().look(MEMBER);
      expect(broken).toEqual([{ member: MEMBER, fault: 'other-key' }]);
    }));
});

describe('a watch', () => {
  const group = (devices: readonly string[], revoked: readonly string[] = []) => {
    const one = (state: GroupDeviceState) => (device: string) => ({ device, member: MEMBER, state });
    const { IN_GROUP, REVOKED } = GroupDeviceState;
    return create(GroupSchema, {
      devices: [...devices.map(one(IN_GROUP)), ...revoked.map(one(REVOKED))],
    });
  };

  test('looks when devices are others, and once a day', async () => {
    let now = 1000;
    const looked: string[] = [];
    const look = async (member: string) => void looked.push(member);
    const watch = new DeviceWatch({ look } as never, () => {}, () => now);
    await watch.see(group([PHONE, TABLET]));
    await watch.see(group([TABLET, PHONE]));
    expect(looked).toEqual([MEMBER]);
    await watch.see(group([TABLET], [PHONE]));
    await watch.see(group([TABLET]));
    expect(looked).toHaveLength(2);
    now += 25 * 60 * 60 * 1000;
    await watch.see(group([TABLET]));
    expect(looked).toHaveLength(3);
  });

  test('goes on when the log cannot be read', async () => {
    const problems: Error[] = [];
    let fault = new HandrailError({ code: 'UNAVAILABLE', message: 'away' });
    let calls = 0;
    const look = async () => {
      calls += 1;
      throw fault;
    };
    let now = Date.now();
    const watch = new DeviceWatch(
      { look },
      (error) => problems.push(error),
      () => now,
    );
    await watch.see(group([PHONE]));
    await watch.see(group([PHONE]));
    expect([calls, problems.length]).toEqual([1, 1]);
    now += 61_000;
    await watch.see(group([PHONE]));
    expect([calls, problems.length]).toEqual([2, 2]);
    fault = new HandrailError({ code: 'NOT_FOUND', message: 'left' });
    now += 61_000;
    await watch.see(group([PHONE]));
    now += 61_000;
    await watch.see(group([PHONE]));
    expect([calls, problems.length]).toEqual([3, 2]);
  });
});
