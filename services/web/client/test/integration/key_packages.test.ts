import { describe, expect, test } from 'vitest';

import { KeyService } from '../../src/api.ts';
import { KeyPackages, TsMlsEngine, newRequestId } from '../../src/index.ts';
import type { DeviceKey, E2eeEngine, Transport } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { newDevice, openStore, pair, send } from './people.ts';
import type { Device } from './people.ts';

const engine = await TsMlsEngine.create({ verifyDevice: async () => true });
const DAY = 24 * 60 * 60;

interface Index {
  reference: string;
  made: number;
  kind: string;
  state: string;
}

async function indexOf({ store }: Device): Promise<Index[]> {
  const bytes = await store.get('key-packages');
  return bytes === undefined ? [] : JSON.parse(new TextDecoder().decode(bytes));
}

const recordsOf = ({ store }: Device) => store.list('key-package/');

function packagesOf(
  device: Device,
  more: { target?: number; now?: () => number; transport?: Transport } = {},
): KeyPackages {
  const { session, store } = device;
  return new KeyPackages({
    transport: session,
    store,
    engine,
    deviceKey: session.deviceKey,
    ...more,
  });
}

/** A transport that loses what the server answers to a publication, `times` times. */
function losingAnswers(device: Device, times: number): { transport: Transport; lost: () => number } {
  let lost = 0;
  const transport = Object.create(device.session) as Transport;
  transport.unary = async (method, request, options) => {
    const answer = await device.session.unary(method, request, options);
    if (method.name === 'PublishKeyPackages' && lost < times) {
      ++lost;
      throw new Error('the answer was lost');
    }
    return answer;
  };
  return { transport, lost: () => lost };
}

async function claimFrom(claimer: Device, conversation: string, device: string) {
  const answer = await claimer.session.unary(KeyService.method.claimKeyPackages, {
    conversation,
    devices: [device],
    claimId: newRequestId(),
  });
  return answer.keyPackages[0]!;
}

describe('key packages', () => {
  test('are filled up once, with one last resort', async () => {
    const device = await newDevice();
    const packages = packagesOf(device, { target: 30 });
    const [first, same] = await Promise.all([packages.refill(), packages.refill()]);
    expect(first).toMatchObject({ available: 30, hasLastResort: true, low: false });
    expect(same).toBe(first);
    expect(await recordsOf(device)).toHaveLength(31);
    expect((await indexOf(device)).every(({ state }) => state === 'published')).toBe(true);
    expect(await packages.refill()).toMatchObject({ available: 30 });
    expect(await recordsOf(device)).toHaveLength(31);
  });

  test('are in the store before the server hears of them', async () => {
    const device = await newDevice();
    const kept: string[][] = [];
    const transport = Object.create(device.session) as Transport;
    transport.unary = async (method, request, options) => {
      if (method.name === 'PublishKeyPackages') kept.push(await recordsOf(device));
      return device.session.unary(method, request, options);
    };
    await packagesOf(device, { target: 5, transport }).refill();
    expect(kept).toHaveLength(1);
    expect(kept[0]).toHaveLength(6);
  });

  test('are not published twice when an answer was lost, nor by an app that starts anew', async () => {
    const device = await newDevice();
    const { transport, lost } = losingAnswers(device, 1);
    const refill = packagesOf(device, { target: 25, transport }).refill();
    await expect(refill).rejects.toThrow('the answer was lost');
    expect(lost()).toBe(1);
    expect((await indexOf(device)).every(({ state }) => state === 'prepared')).toBe(true);
    await device.store.close();
    const again = { ...device, store: await openStore(device.folder) };
    const count = await packagesOf(again, { target: 25 }).refill();
    expect(count).toMatchObject({ available: 25, hasLastResort: true });
    expect(await recordsOf(again)).toHaveLength(26);
    expect((await indexOf(again)).every(({ state }) => state === 'published')).toBe(true);
  });

  test('stop at what the server takes, without an error', async () => {
    const device = await newDevice();
    expect(await packagesOf(device, { target: 200 }).refill()).toMatchObject({ available: 200 });
    // A second tab that prepared its own at the same moment.
    const index = await indexOf(device);
    const spare = await engine.createKeyPackage(device.session.deviceKey);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const entry = { ...index[0]!, reference: hex(spare.reference), state: 'prepared' };
    await device.store.transact(async (transaction) => {
      const kept = { message: hex(spare.message), secret: hex(spare.secret) };
      transaction.put(`key-package/${entry.reference}`, text(kept));
      transaction.put('key-packages', text([...index, entry]));
    });
    expect(await packagesOf(device, { target: 200 }).refill()).toMatchObject({ available: 200 });
    expect((await indexOf(device)).filter(({ state }) => state === 'prepared')).toHaveLength(1);
  });

  test('that ran out are deleted, and an old last resort is replaced', async () => {
    const device = await newDevice();
    let now = Math.floor(Date.now() / 1000);
    const packages = packagesOf(device, { target: 20, now: () => now });
    await packages.refill();
    now += 46 * DAY;
    await packages.refill();
    const resorts = (await indexOf(device)).filter(({ kind }) => kind === 'last-resort');
    expect(resorts.map(({ state }) => state)).toEqual(['published', 'published']);
    expect(await recordsOf(device)).toHaveLength(22);
    // Those of the first day are 98 days old, the second last resort 52.
    now += 52 * DAY;
    await packages.refill();
    const kinds = (await indexOf(device)).map(({ kind }) => kind);
    expect(kinds).toEqual(['last-resort', ...Array(20).fill('single'), 'last-resort']);
    expect(await recordsOf(device)).toHaveLength(22);
  });

  test('are made anew two weeks before they end', async () => {
    const device = await newDevice();
    let now = Math.floor(Date.now() / 1000);
    const packages = packagesOf(device, { target: 30, now: () => now });
    await packages.refill();
    now += 75 * DAY;
    expect(await packages.refill()).toMatchObject({ available: 30 });
    now += 2 * DAY;
    expect(await packages.refill()).toMatchObject({ available: 60 });
    expect(await packages.refill()).toMatchObject({ available: 60 });
  });

  test('that were prepared and would be refused as too old hold nothing up', async () => {
    const device = await newDevice();
    let now = Math.floor(Date.now() / 1000);
    let stale = true;
    const old = Object.create(engine) as E2eeEngine;
    old.createKeyPackage = async (key) => {
      const made = await TsMlsEngine.create({
        verifyDevice: async () => true,
        now: () => now - (stale ? 91 * DAY : 0),
      });
      return made.createKeyPackage(key);
    };
    const { session, store } = device;
    const { deviceKey } = session;
    const options = { transport: session, store, engine: old, deviceKey, target: 21 };
    const refused = new KeyPackages({ ...options, now: () => now - 91 * DAY }).refill();
    await expect(refused).rejects.toMatchObject({ reason: 'FIELD_INVALID' });
    stale = false;
    const count = await new KeyPackages({ ...options, now: () => now }).refill();
    expect(count).toMatchObject({ available: 21, hasLastResort: true });
  });

  test('are replenished by one of several tabs', async () => {
    const device = await newDevice();
    let publications = 0;
    const transport = Object.create(device.session) as Transport;
    transport.unary = async (method, request, options) => {
      if (method.name === 'PublishKeyPackages') ++publications;
      return device.session.unary(method, request, options);
    };
    const tabs = [1, 2, 3].map(() => packagesOf(device, { target: 30, transport }));
    const turns = await Promise.all(tabs.map((packages) => packages.replenish()));
    expect(turns.filter(Boolean).length).toBeGreaterThanOrEqual(1);
    expect(publications).toBe(1);
    expect(await recordsOf(device)).toHaveLength(31);
    expect(await tabs[1]!.replenish()).toBe(true);
    expect(publications).toBe(1);
  });

  test('are replenished after a tab that stopped in the middle', async () => {
    const device = await newDevice();
    let now = Math.floor(Date.now() / 1000);
    const stuck = Object.create(device.session) as Transport;
    stuck.unary = () => new Promise(() => {});
    void packagesOf(device, { target: 30, transport: stuck, now: () => now }).replenish();
    const packages = packagesOf(device, { target: 30, now: () => now });
    await until('the turn of the other', 5, () => device.store.get('key-packages-turn'));
    expect(await packages.replenish()).toBe(false);
    expect(await recordsOf(device)).toHaveLength(0);
    now += 61;
    expect(await packages.replenish()).toBe(true);
    expect(await recordsOf(device)).toHaveLength(31);
  });

  test('let their owner in, once, and are topped up', async () => {
    const [ann, bob] = await Promise.all([newDevice(), newDevice()]);
    const packages = packagesOf(bob, { target: 21 });
    await packages.refill();
    const conversation = await pair(ann, bob, 'eo');
    await send(ann.session, conversation, 'the conversation is there');
    const device = bob.session.deviceKey.device;
    const claimed = [];
    for (let i = 0; i < 3; ++i) claimed.push(await claimFrom(ann, conversation, device));
    expect(claimed.every(({ lastResort }) => !lastResort)).toBe(true);

    const welcome = await welcomeFor(engine, ann.session.deviceKey, claimed[0]!.keyPackage);
    const references = engine.welcomed(welcome);
    expect(references.map((bytes) => [...bytes])).toEqual([[...claimed[0]!.reference]]);
    const state = await bob.store.transact(async (transaction) => {
      const found = await packages.secretFor(transaction, references);
      await packages.spend(transaction, found!.reference);
      return engine.join(welcome, found!.secret);
    });
    expect(engine.view(state).members.map((member) => member.device)).toContain(device);
    const used = await bob.store.transact((transaction) =>
      packages.secretFor(transaction, references),
    );
    expect(used).toBeUndefined();

    // 18 are left, which is low.
    expect(await packages.refill()).toMatchObject({ available: 21, low: false });
    expect(await recordsOf(bob)).toHaveLength(22 - 1 + 3);
  });

  test('of the last resort stay after they were used', async () => {
    const device = await newDevice();
    const packages = packagesOf(device, { target: 1 });
    await packages.refill();
    const { reference } = (await indexOf(device)).find(({ kind }) => kind === 'last-resort')!;
    await device.store.transact((transaction) =>
      packages.spend(transaction, Buffer.from(reference, 'hex')),
    );
    expect(await recordsOf(device)).toContain(`key-package/${reference}`);
  });
});

async function welcomeFor(
  engineOfAnn: E2eeEngine,
  ann: DeviceKey,
  keyPackage: Uint8Array,
): Promise<Uint8Array> {
  const group = await engineOfAnn.createGroup(ann, new TextEncoder().encode('a group'));
  const { welcome } = await engineOfAnn.commit(group, { add: [keyPackage] });
  return welcome!;
}
