import { beforeEach, describe, expect, test } from 'vitest';

import type { DeviceKey, TsMlsEngine } from '../src/engine/index.ts';
import { Devices, refusalOf, textOf, utf8 } from './devices.ts';

const GROUP = utf8('conversations/0123456789abcdef0123456789abcdef');

let devices: Devices;
let engine: TsMlsEngine;
let ann: DeviceKey;
let bob: DeviceKey;

beforeEach(async () => {
  devices = new Devices();
  engine = await devices.engine();
  ann = devices.make();
  bob = devices.make();
});

/** A group of two, as each of them has it. */
async function pair(): Promise<{ annState: Uint8Array; bobState: Uint8Array }> {
  const created = await engine.createGroup(ann, GROUP);
  const bobPackage = await engine.createKeyPackage(bob);
  const pending = await engine.commit(created, { add: [bobPackage.message] });
  const bobState = await engine.join(pending.welcome!, bobPackage.secret);
  return { annState: pending.state, bobState };
}

async function plaintextOf(state: Uint8Array, message: Uint8Array): Promise<string> {
  const received = await engine.receive(state, message);
  if (received.kind !== 'application') throw new Error(`a ${received.kind}`);
  return `${received.sender === ann.device ? 'ann' : 'bob'}: ${textOf(received.plaintext)}`;
}

describe('a group of two', () => {
  test('reads each other, and knows who said it', async () => {
    const { annState, bobState } = await pair();
    const hello = await engine.encrypt(annState, utf8('hello'), utf8('a commitment'));
    const received = await engine.receive(bobState, hello.message);
    expect(received.kind).toBe('application');
    if (received.kind !== 'application') return;
    expect(textOf(received.plaintext)).toBe('hello');
    expect(received.sender).toBe(ann.device);
    expect(textOf(received.authenticatedData)).toBe('a commitment');
    const answer = await engine.encrypt(received.state, utf8('hi'));
    expect(await plaintextOf(hello.state, answer.message)).toBe('bob: hi');
  });

  test('writes nothing readable', async () => {
    const { annState } = await pair();
    const secret = 'I returned to use yesterday';
    const { message } = await engine.encrypt(annState, utf8(secret));
    expect(Buffer.from(message).includes(secret)).toBe(false);
    expect(message.length).toBeLessThan(600);
  });

  test('has one authenticator an epoch, of 30 digits', async () => {
    const { annState, bobState } = await pair();
    const first = await engine.authenticator(annState);
    expect(first).toMatch(/^[0-9]{30}$/);
    expect(await engine.authenticator(bobState)).toBe(first);
    const update = await engine.commit(annState, {});
    const next = await engine.receive(bobState, update.commit);
    expect(await engine.authenticator(next.state)).toBe(
      await engine.authenticator(update.state),
    );
    expect(await engine.authenticator(next.state)).not.toBe(first);
  });

  test('shows who is in it', async () => {
    const { bobState } = await pair();
    const view = engine.view(bobState);
    expect(view.active).toBe(true);
    expect(view.epoch).toBe(1n);
    expect(textOf(view.groupId)).toBe(textOf(GROUP));
    expect(view.members.map((m) => m.device)).toEqual([ann.device, bob.device]);
  });
});

describe('a device that a commit removes', () => {
  test('knows it although somebody else gets its leaf', async () => {
    const { annState, bobState } = await pair();
    const cat = devices.make();
    const catPackage = await engine.createKeyPackage(cat);
    const change = { add: [catPackage.message], remove: [bob.device] };
    const { commit } = await engine.commit(annState, change);
    const received = await engine.receive(bobState, commit);
    if (received.kind === 'application') throw new Error('a message');
    expect(received.view.active).toBe(false);
    expect(await refusalOf(engine.receive(received.state, commit))).toBe('gone');
  });

  test('knows it when another of its copies has joined again', async () => {
    const { annState, bobState } = await pair();
    const update = await engine.commit(annState, {});
    const oldCopy = (await engine.receive(bobState, update.commit)).state;
    const { commit } = await engine.rejoin(bob, update.groupInfo);
    const received = await engine.receive(oldCopy, commit);
    if (received.kind === 'application') throw new Error('a message');
    expect(received.view.active).toBe(false);
  });
});

describe('a step that is refused changes nothing', () => {
  test('a message is read once', async () => {
    const { annState, bobState } = await pair();
    const { message } = await engine.encrypt(annState, utf8('once'));
    const first = await engine.receive(bobState, message);
    expect(await refusalOf(engine.receive(first.state, message))).toBe('stale');
    expect(await plaintextOf(bobState, message)).toBe('ann: once');
  });

  test('a changed bit is noticed', async () => {
    const { annState, bobState } = await pair();
    const { message } = await engine.encrypt(annState, utf8('hello'));
    for (const at of [message.length - 1, message.length - 40]) {
      const forged = message.slice();
      forged[at]! ^= 1;
      expect(await refusalOf(engine.receive(bobState, forged))).not.toBe('none');
    }
    expect(await plaintextOf(bobState, message)).toBe('ann: hello');
  });

  test('messages of other epochs are told apart', async () => {
    const { annState, bobState } = await pair();
    const early = await engine.encrypt(annState, utf8('early'));
    let state = early.state;
    let bobs = bobState;
    const commits: Uint8Array[] = [];
    for (let i = 0; i < 6; ++i) {
      const update = await engine.commit(state, {});
      commits.push(update.commit);
      state = update.state;
    }
    expect(await refusalOf(engine.receive(bobs, commits[1]!))).toBe('ahead');
    const late = await engine.encrypt(state, utf8('late'));
    expect(await refusalOf(engine.receive(bobs, late.message))).toBe('ahead');
    bobs = (await engine.receive(bobs, commits[0]!)).state;
    expect(await plaintextOf(bobs, early.message)).toBe('ann: early');
    for (const commit of commits.slice(1)) bobs = (await engine.receive(bobs, commit)).state;
    expect(await refusalOf(engine.receive(bobs, commits[0]!))).toBe('stale');
    expect(await refusalOf(engine.receive(bobs, early.message))).toBe('stale');
    expect(await plaintextOf(bobs, late.message)).toBe('ann: late');
  });

  test('bytes that are no message are malformed', async () => {
    const { bobState } = await pair();
    for (const bytes of ['', 'hello', '\0\x01\0\x02', '\0\x01\0\x09more']) {
      expect(await refusalOf(engine.receive(bobState, utf8(bytes)))).toBe('malformed');
    }
    expect(await refusalOf(engine.join(utf8('hello'), utf8('hello')))).toBe('malformed');
  });
});

describe('who comes in', () => {
  test('only with a key that is really the device’s', async () => {
    const stranger = { ...new Devices().make(), device: bob.device };
    const theirs = await engine.createKeyPackage(stranger);
    const created = await engine.createGroup(ann, GROUP);
    expect(await refusalOf(engine.commit(created, { add: [theirs.message] }))).toBe('forged');
  });

  test('only with a key package that has not run out', async () => {
    const now = Math.floor(Date.now() / 1000);
    const created = await engine.createGroup(ann, GROUP);
    for (const [days, verdict] of [
      [-100, 'forged'],
      [-80, 'none'],
      [10, 'forged'],
    ] as const) {
      const other = await devices.engine(() => now + days * 86400);
      const theirs = await other.createKeyPackage(bob);
      expect(await refusalOf(engine.commit(created, { add: [theirs.message] }))).toBe(verdict);
    }
  });

  test('a Welcome is for whom it was made', async () => {
    const created = await engine.createGroup(ann, GROUP);
    const bobs = await engine.createKeyPackage(bob);
    const other = await engine.createKeyPackage(bob);
    const pending = await engine.commit(created, { add: [bobs.message] });
    expect(await refusalOf(engine.join(pending.welcome!, other.secret))).not.toBe('none');
  });

  test('who was removed reads no more, and knows it', async () => {
    const { annState, bobState } = await pair();
    const removal = await engine.commit(annState, { remove: [bob.device] });
    const removed = await engine.receive(bobState, removal.commit);
    expect(removed.kind).toBe('commit');
    if (removed.kind === 'commit') expect(removed.view.active).toBe(false);
    const later = await engine.encrypt(removal.state, utf8('later'));
    expect(await refusalOf(engine.receive(removed.state, later.message))).toBe('gone');
    expect(await refusalOf(engine.receive(bobState, later.message))).toBe('ahead');
  });

  test('a device that lost its state joins again, and its old leaf goes', async () => {
    const { annState, bobState } = await pair();
    const update = await engine.commit(annState, {});
    const rejoined = await engine.rejoin(bob, update.groupInfo);
    const anns = await engine.receive(update.state, rejoined.commit);
    expect(anns.kind).toBe('commit');
    if (anns.kind === 'commit') {
      expect(anns.view.members.map((m) => m.device).sort()).toEqual(
        [ann.device, bob.device].sort(),
      );
    }
    const hello = await engine.encrypt(anns.state, utf8('welcome back'));
    expect(await plaintextOf(rejoined.state, hello.message)).toBe('ann: welcome back');
    expect(await refusalOf(engine.receive(bobState, hello.message))).toBe('ahead');
  });

  test('a commit that lost can be thrown away', async () => {
    const { annState, bobState } = await pair();
    const anns = await engine.commit(annState, {});
    await engine.commit(bobState, {}); // lost: never sent
    const bobs = await engine.receive(bobState, anns.commit);
    expect(await engine.authenticator(bobs.state)).toBe(await engine.authenticator(anns.state));
  });
});
