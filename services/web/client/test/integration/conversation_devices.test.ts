// Key packages that are published when they are few, and device logs, on the real services.
import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import { KeyService, ListDeviceLogResponseSchema } from '../../src/api.ts';
import type { ListDeviceLogResponse } from '../../src/api.ts';
import { KeyPackages, TsMlsEngine, newRequestId } from '../../src/index.ts';
import type { ConversationsHandler } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { newDevice, patiently } from './people.ts';
import type { Device } from './people.ts';
import { anotherDevice, passing, talker, twoPeople } from './talkers.ts';
import type { Talker } from './talkers.ts';

const utf8 = new TextEncoder();

/** Keeps what it is told of devices. */
const noting: ConversationsHandler = {
  message: async () => {},
  devicesChanged: async (transaction, change) =>
    transaction.put(`noted/${newRequestId()}`, utf8.encode(JSON.stringify(change))),
  deviceLogBroken: async (transaction, broken) =>
    transaction.put(`noted/${newRequestId()}`, utf8.encode(JSON.stringify(broken))),
};

async function notedBy({ store }: Device): Promise<Record<string, unknown>[]> {
  const names = await store.list('noted/');
  const texts = names.map(async (name) => new TextDecoder().decode(await store.get(name)));
  return (await Promise.all(texts)).map((text) => JSON.parse(text));
}

const deviceOf = ({ session }: Device) => session.deviceKey.device;
const keyOf = ({ session }: Device) => Buffer.from(session.deviceKey.publicKey).toString('hex');

const logOf = (who: Device, member: string) =>
  patiently(() => who.session.unary(KeyService.method.listDeviceLog, { member }));

/** What a device knows of somebody's devices. */
async function knownTo(one: Talker, member: string) {
  const log = await one.conversations.deviceLogs.known(member);
  return log?.devices.map(({ device, publicKey, removed }) => [device, publicKey, !removed]);
}

describe('key packages', () => {
  test('are published when few are left, while the device only receives', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const { session, store } = bob;
    const { deviceKey } = session;
    const engine = await TsMlsEngine.create({ verifyDevice: async () => true });
    const options = { transport: session, store, engine, deviceKey, target: 21 };
    const keyPackages = new KeyPackages(options);
    await keyPackages.refill();
    const receiver = await talker(bob, { keyPackages, replenishMs: 10 });
    receiver.run();
    const count = async () => {
      const answer = await session.unary(KeyService.method.countKeyPackages, {});
      return answer.count?.available;
    };
    for (let i = 0; i < 2; ++i) {
      await ann.session.unary(KeyService.method.claimKeyPackages, {
        conversation,
        devices: [deviceOf(bob)],
        claimId: newRequestId(),
      });
    }
    await until('the device to publish more', 20, async () => (await count()) === 21);
    expect(receiver.problems).toEqual([]);
  });
});

describe('a device log', () => {
  test('has the keys of all devices, and is for those who talk', async () => {
    const { ann, bob } = await twoPeople();
    const second = await anotherDevice(bob);
    const log = await until('both devices', 20, async () => {
      const read = await logOf(ann, bob.session.member);
      return read.entries.length === 2 ? read : undefined;
    });
    const told = log.entries.map(({ device, publicKey }) => [
      device,
      Buffer.from(publicKey).toString('hex'),
    ]);
    expect(told).toEqual([
      [deviceOf(bob), keyOf(bob)],
      [deviceOf(second), keyOf(second)],
    ]);
    const eve = await newDevice();
    await expect(logOf(eve, bob.session.member)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await logOf(eve, eve.session.member)).entries).toHaveLength(1);
  });

  test('tells who has a new device, and who has one less', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const one = await talker(ann, { handler: noting });
    const { member } = bob.session;
    await talker(bob);
    await one.conversations.start(conversation);
    expect(await knownTo(one, member)).toEqual([[deviceOf(bob), keyOf(bob), true]]);
    one.run();
    const second = await anotherDevice(bob);
    const added = await until('the new device', 20, async () => (await notedBy(one))[0]);
    expect(added).toMatchObject({ member, added: [deviceOf(second)], removed: [] });
    expect(await knownTo(one, member)).toContainEqual([deviceOf(second), keyOf(second), true]);
    await patiently(async () => {
      await bob.session.revokeDevice(deviceOf(second), newRequestId());
      return true;
    });
    await until('its end', 20, async () => (await notedBy(one)).length === 2);
    expect(await notedBy(one)).toContainEqual(
      expect.objectContaining({ member, added: [], removed: [deviceOf(second)] }),
    );
  });

  test('that the server takes back is told of', async () => {
    const { ann, bob, conversation } = await twoPeople();
    await talker(bob);
    let lie = (log: ListDeviceLogResponse) => log;
    const session = passing(ann, async (method, call) => {
      const answer = await call();
      return method === 'ListDeviceLog' ? lie(answer as ListDeviceLogResponse) : answer;
    });
    const one = await talker({ ...ann, session }, { handler: noting });
    await one.conversations.start(conversation);
    const { member } = bob.session;
    const known = await knownTo(one, member);
    expect(known).toHaveLength(1);
    lie = () => create(ListDeviceLogResponseSchema, { headHash: new Uint8Array(32) });
    expect((await one.conversations.deviceLogs.look(member)).broken).toBe('shortened');
    expect(await notedBy(one)).toEqual([{ member, fault: 'shortened' }]);
    expect(await knownTo(one, member)).toEqual(known);
  });
});
