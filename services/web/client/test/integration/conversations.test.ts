import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, inject, test } from 'vitest';

import {
  ConversationState,
  GroupService,
  MatchingService,
  MessagingService,
} from '../../src/api.ts';
import { encodeContent } from '../../src/conversations/content.ts';
import { groupOf, outboxOf, pendingOf, putGroup } from '../../src/conversations/records.ts';
import {
  Conversations,
  DeviceTrust,
  HandrailError,
  KeyPackages,
  TsMlsEngine,
  newRequestId,
} from '../../src/index.ts';
import { until } from '../support/until.ts';
import type { Device } from './people.ts';
import {
  allHave,
  anotherDevice,
  killMessaging,
  linesOf,
  refusedOf,
  reopened,
  talker,
  twoPeople,
} from './talkers.ts';
import type { Talker } from './talkers.ts';

const digitsOf = (talkers: readonly Talker[], conversation: string) =>
  Promise.all(talkers.map(({ conversations }) => conversations.authenticator(conversation)));

/** Waits until all are in one epoch, and says its digits. */
async function oneEpoch(talkers: readonly Talker[], conversation: string): Promise<string> {
  return until('one epoch for all', 20, async () => {
    const [first, ...others] = await digitsOf(talkers, conversation);
    return others.every((digits) => digits === first) ? first : undefined;
  });
}

async function devicesIn({ conversations }: Talker, conversation: string): Promise<string[]> {
  const view = await conversations.view(conversation);
  return (view?.members ?? []).map(({ device }) => device).sort();
}

const deviceOf = ({ session }: Device) => session.deviceKey.device;

async function inGroup({ session }: Device, conversation: string): Promise<bigint> {
  return (await session.unary(GroupService.method.getGroup, { conversation })).epoch;
}

/** Waits until messaging has heard of a device. */
function known(who: Talker, conversation: string, device: string): Promise<unknown> {
  return until('messaging to know the device', 20, async () => {
    const { devices } = await who.session.unary(GroupService.method.getGroup, { conversation });
    return devices.some((one) => one.device === device);
  });
}

/** Two people with two devices each. */
async function fourDevices() {
  const { ann, bob, conversation } = await twoPeople();
  const devices = [ann, await anotherDevice(ann), bob, await anotherDevice(bob)];
  const talkers: Talker[] = [];
  for (const device of devices) talkers.push(await talker(device));
  for (const one of talkers) await known(talkers[0]!, conversation, deviceOf(one));
  const [ann1, ann2, bob1, bob2] = talkers as [Talker, Talker, Talker, Talker];
  return { ann1, ann2, bob1, bob2, talkers, conversation };
}

describe('a conversation', () => {
  test('begins with a group that both are in, and is read by both', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    ann.run();
    bob.run();
    await ann.conversations.send(conversation, 'hello');
    await allHave([ann, bob], ['hello']);
    await bob.conversations.send(conversation, 'hi');
    await allHave([ann, bob], ['hello', 'hi']);
    const digits = await ann.conversations.authenticator(conversation);
    expect(digits).toMatch(/^[0-9]{30}$/);
    expect(await bob.conversations.authenticator(conversation)).toBe(digits);
    expect([ann.problems, bob.problems]).toEqual([[], []]);
  });

  test('is heard on all devices of both, through a kill -9, and nowhere else', async () => {
    const { ann1, ann2, bob1, bob2, talkers, conversation } = await fourDevices();
    for (const one of talkers) one.run();
    const lines: string[] = [];
    const say = async (who: Talker, text: string) => {
      await who.conversations.send(conversation, text);
      lines.push(text);
      await allHave(talkers, lines);
    };
    await say(ann1, 'I returned to use yesterday');
    await say(bob2, 'thank you for telling me');
    await killMessaging();
    await say(ann2, 'I write from my tablet');
    await say(bob1, 'and I from my phone');
    const digits = await oneEpoch(talkers, conversation);
    expect(digits).toMatch(/^[0-9]{30}$/);
    expect(await devicesIn(bob2, conversation)).toEqual(talkers.map(deviceOf).sort());
    for (const one of talkers) await one.stop();
    const { groupId } = (await ann1.conversations.view(conversation))!;
    expectNowhere(lines, groupId);
  });

  test('loses and doubles nothing while messaging is killed again and again', async () => {
    const { talkers, conversation } = await fourDevices();
    await talkers[0]!.conversations.start(conversation);
    for (const one of talkers) one.run();
    await oneEpoch(talkers, conversation);
    const said: string[] = [];
    const quietly = (step: Promise<unknown>) => step.catch(() => {});
    await Promise.all(
      talkers.map(async ({ conversations }, device) => {
        for (let i = 0; i < 8; ++i) {
          said.push(`device ${device} line ${i}`);
          await conversations.send(conversation, `device ${device} line ${i}`);
          if (i % 3 === device % 3) await quietly(conversations.refreshKeys(conversation));
          else await quietly(conversations.flush(conversation));
          // One of them at a time, in the middle of what the others do.
          if (i % 4 === 1 && device === (i >> 2)) await killMessaging();
        }
      }),
    );
    await until('all lines everywhere', 40, async () => {
      const all = await Promise.all(talkers.map((one) => linesOf(one)));
      return all.every((lines) => lines.length >= said.length);
    });
    const lines = await linesOf(talkers[0]!);
    expect([...lines].sort()).toEqual([...said].sort());
    await allHave(talkers, lines);
    for (const one of talkers) await one.conversations.tidy(conversation);
    expect(await oneEpoch(talkers, conversation)).toBeTruthy();
    // Nobody had to be let in anew: what was begun was gone on with.
    for (const { store } of talkers) {
      expect(await groupOf(store, conversation)).toMatchObject({ joined: 1n, standing: 'in' });
    }
  }, 90_000);

  test('can be written to before anybody has made the group', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const ann = await talker(people.ann);
    ann.run();
    const early = await ann.conversations.send(conversation, 'are you there?');
    expect(early).toMatch(/^[0-9a-f]{32}$/);
    await until('to hear why not', 10, () =>
      ann.problems.some((problem) => 'fault' in problem && problem.fault === 'nobody-ready'),
    );
    expect(await inGroup(ann, conversation)).toBe(0n);
    const bob = await talker(people.bob);
    bob.run();
    await allHave([ann, bob], ['are you there?']);
  });

  test('of two who begin at once, one wins, and both read', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await Promise.all([ann, bob].map(({ conversations }) => conversations.start(conversation)));
    expect(await inGroup(ann, conversation)).toBe(1n);
    await oneEpoch([ann, bob], conversation);
    await ann.conversations.send(conversation, 'from ann');
    await ann.conversations.flush(conversation);
    await bob.conversations.send(conversation, 'from bob');
    await bob.conversations.flush(conversation);
    ann.run();
    bob.run();
    await allHave([ann, bob], ['from ann', 'from bob']);
  });

  test('takes every commit of devices that all want new keys at once', async () => {
    const { talkers, conversation } = await fourDevices();
    await talkers[0]!.conversations.start(conversation);
    for (const one of talkers) one.run();
    await oneEpoch(talkers, conversation);
    await Promise.all(
      talkers.map(async ({ conversations }, i) => {
        await conversations.refreshKeys(conversation);
        await conversations.send(conversation, `with new keys ${i}`);
        await conversations.refreshKeys(conversation);
      }),
    );
    await oneEpoch(talkers, conversation);
    expect(await inGroup(talkers[0]!, conversation)).toBe(9n);
    for (const one of talkers) {
      await until('four lines', 10, async () => (await linesOf(one)).length === 4);
    }
    const lines = await linesOf(talkers[0]!);
    expect([...lines].sort()).toEqual([0, 1, 2, 3].map((i) => `with new keys ${i}`));
    await allHave(talkers, lines);
  });
});

describe('devices that come and go', () => {
  test('one that is added later reads what comes after, and no more', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    ann.run();
    bob.run();
    await ann.conversations.send(conversation, 'only for two');
    await allHave([ann, bob], ['only for two']);
    const late = await talker(await anotherDevice(people.bob), { checkMs: 600_000 });
    late.run();
    await known(late, conversation, deviceOf(late));
    await late.conversations.send(conversation, 'I am new here');
    // Nobody is told: the devices that are there notice by themselves.
    await allHave([ann, bob], ['only for two', 'I am new here']);
    await ann.conversations.send(conversation, 'for all three');
    await allHave([ann, bob], ['only for two', 'I am new here', 'for all three']);
    await allHave([late], ['I am new here', 'for all three']);
    expect(await oneEpoch([ann, bob, late], conversation)).toBeTruthy();
  });

  test('new keys are new although somebody is let in at the same time', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    const late = await talker(await anotherDevice(people.bob));
    await known(ann, conversation, deviceOf(late));
    await ann.conversations.refreshKeys(conversation);
    // A commit that only adds would leave Ann's keys as they were.
    expect(await inGroup(ann, conversation)).toBe(3n);
    await bob.conversations.fetch(conversation);
    await late.conversations.fetch(conversation);
    expect(await oneEpoch([ann, bob, late], conversation)).toBeTruthy();
  });

  test('one that was removed reads nothing more, and is put out of the group', async () => {
    const { ann1, bob1, bob2, talkers, conversation } = await fourDevices();
    for (const one of talkers) one.run();
    await ann1.conversations.send(conversation, 'before');
    await allHave(talkers, ['before']);
    await bob1.session.revokeDevice(deviceOf(bob2), newRequestId());
    const others = talkers.filter((one) => one !== bob2);
    await until('the device to be put out', 30, async () => {
      const views = await Promise.all(others.map((one) => devicesIn(one, conversation)));
      return views.every((devices) => !devices.includes(deviceOf(bob2)));
    });
    const digits = await oneEpoch(others, conversation);
    await ann1.conversations.send(conversation, 'after');
    await allHave(others, ['before', 'after']);
    expect(await linesOf(bob2)).toEqual(['before']);
    expect(await bob2.conversations.authenticator(conversation)).not.toBe(digits);
  });

  test('one that lost its state comes back by itself', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    ann.run();
    await ann.conversations.start(conversation);
    await bob.conversations.fetch(conversation);
    await bob.conversations.send(conversation, 'still here');
    await allHave([ann], ['still here']);
    await bob.store.transact(async (transaction) => transaction.delete(`group/${conversation}`));
    await bob.conversations.start(conversation);
    expect(await oneEpoch([ann, bob], conversation)).toBeTruthy();
    await ann.conversations.send(conversation, 'welcome back');
    bob.run();
    await allHave([ann, bob], ['still here', 'welcome back']);
    expect(await devicesIn(ann, conversation)).toEqual([deviceOf(ann), deviceOf(bob)].sort());
  });
});

describe('several tabs', () => {
  test('say and change things at once, and nothing is lost or twice', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    bob.run();
    const tabs = [ann, await reopened(ann), await reopened(ann)];
    const said: string[] = [];
    await Promise.all(
      tabs.map(async ({ conversations }, tab) => {
        for (let i = 0; i < 5; ++i) {
          const text = `tab ${tab} line ${i}`;
          said.push(text);
          await conversations.send(conversation, text);
          if (i === 2) await conversations.refreshKeys(conversation);
        }
        await conversations.flush(conversation);
      }),
    );
    await until('all lines', 20, async () => (await linesOf(bob)).length === said.length);
    const lines = await linesOf(bob);
    expect([...lines].sort()).toEqual([...said].sort());
    // What one tab says keeps its order.
    for (const tab of [0, 1, 2]) {
      const own = lines.filter((line) => line.startsWith(`tab ${tab}`));
      expect(own).toEqual([0, 1, 2, 3, 4].map((i) => `tab ${tab} line ${i}`));
    }
    tabs[1]!.run();
    await allHave([tabs[1]!], lines);
    expect(await oneEpoch([tabs[0]!, tabs[2]!, bob], conversation)).toBeTruthy();
  });
});

describe('what cannot be read', () => {
  test('is told as such, and the rest is read', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await bob.conversations.start(conversation);
    bob.run();
    await ann.conversations.send(conversation, 'one');
    await allHave([bob], ['one']);
    const sent = await ann.session.unary(MessagingService.method.fetchMessages, { conversation });
    const { payload } = sent.envelopes.at(-1)!;
    const raw = (bytes: Uint8Array) =>
      ann.session.unary(MessagingService.method.sendMessage, {
        conversation,
        messageId: newRequestId(),
        payload: bytes,
      });
    // The same bytes again under another id.
    await raw(payload);
    const encrypt = (id: string, text: string) =>
      ann.store.transact(async (transaction) => {
        const engine = await TsMlsEngine.create({ verifyDevice: async () => true });
        const group = (await groupOf(transaction, conversation))!;
        const { state, message } = await engine.encrypt(group.state, encodeContent({ id, text }));
        putGroup(transaction, conversation, { ...group, state });
        return message;
      });
    // A bit of it was changed on the way.
    const changed = await encrypt(newRequestId(), 'changed');
    changed[changed.length - 1]! ^= 1;
    await raw(changed);
    // Encrypted as it should be, and said to be another message.
    await raw(await encrypt(newRequestId(), 'moved'));
    await ann.conversations.send(conversation, 'two');
    await allHave([bob], ['one', '(stale)', '(malformed)', '(forged)', 'two']);
    expect(bob.problems).toEqual([]);
  });

  test('a Welcome without its key package lets the device come back by itself', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    for (const name of await bob.store.list('key-package/')) {
      await bob.store.transact(async (transaction) => transaction.delete(name));
    }
    await ann.conversations.start(conversation);
    ann.run();
    bob.run();
    await oneEpoch([ann, bob], conversation);
    await ann.conversations.send(conversation, 'there you are');
    await allHave([ann, bob], ['there you are']);
    expect(bob.problems.map(({ message }) => message).join()).toContain('its key package');
  });
});

describe('an app that is closed in between', () => {
  test('takes its own commit from the conversation where the answer was lost', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const bob = await talker(people.bob);
    const losing = await talker({ ...people.ann, session: deafTo(people.ann, 'CommitBundle') });
    await expect(losing.conversations.start(conversation)).rejects.toThrow('the answer was lost');
    expect(await losing.conversations.view(conversation)).toBe(undefined);
    await losing.conversations.fetch(conversation);
    await bob.conversations.fetch(conversation);
    expect(await oneEpoch([losing, bob], conversation)).toBeTruthy();
    expect(await pendingOf(losing.store, conversation)).toBe(undefined);
    expect(await inGroup(losing, conversation)).toBe(1n);
  });

  test('sends what it had not sent, once', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    bob.run();
    const losing = await talker({ ...people.ann, session: deafTo(people.ann, 'SendMessage') });
    await losing.conversations.send(conversation, 'once');
    await until('the answer to be lost', 10, () => losing.problems.length > 0);
    await ann.store.close();
    const again = await reopened(people.ann);
    await again.conversations.send(conversation, 'twice');
    again.run();
    await allHave([again, bob], ['once', 'twice']);
  });
});

/** A session that loses what the server answers to one method. */
function deafTo({ session }: Device, method: string): Device['session'] {
  const deaf = Object.create(session) as Device['session'];
  deaf.unary = async (called, request, options) => {
    const answer = await session.unary(called, request, options);
    if (called.name === method) throw new Error('the answer was lost');
    return answer;
  };
  return deaf;
}

describe('a message that waits', () => {
  test('is encrypted anew when the group has moved on without it', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await bob.conversations.start(conversation);
    const offline = Object.create(people.ann.session) as typeof people.ann.session;
    offline.unary = async () => {
      throw new HandrailError({ code: 'UNAVAILABLE', message: 'no network' });
    };
    const { deviceKey } = people.ann.session;
    const trust = new DeviceTrust(ann.store, deviceKey);
    const engine = await TsMlsEngine.create({ verifyDevice: trust.verify });
    const alone = new Conversations({
      session: offline,
      store: ann.store,
      engine,
      keyPackages: new KeyPackages({ transport: offline, store: ann.store, engine, deviceKey }),
      handler: { message: async () => {} },
    });
    await alone.send(conversation, 'from the tunnel');
    await expect(alone.flush(conversation)).rejects.toThrow('no network');
    const [waiting] = await outboxOf(ann.store, conversation);
    expect(waiting?.message).toBeDefined();
    for (let i = 0; i < 6; ++i) await bob.conversations.refreshKeys(conversation);
    await ann.conversations.flush(conversation);
    await bob.conversations.fetch(conversation);
    expect(await linesOf(bob)).toEqual(['from the tunnel']);
  });

  test('is given back when the conversation is closed', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await ann.conversations.send(conversation, 'hello');
    await ann.conversations.flush(conversation);
    const { session } = people.bob;
    const { pairings } = await session.unary(MatchingService.method.listPairings, {});
    await session.unary(MatchingService.method.endPairing, {
      name: pairings[0]!.name,
      requestId: newRequestId(),
    });
    await until('the conversation to be closed', 10, async () => {
      const now = await session.unary(MessagingService.method.getConversation, {
        name: conversation,
      });
      return now.state === ConversationState.CLOSED;
    });
    await ann.conversations.send(conversation, 'too late');
    await ann.conversations.flush(conversation);
    expect(await refusedOf(ann)).toEqual(['too late (CONVERSATION_CLOSED)']);
    ann.run();
    bob.run();
    await allHave([ann, bob], ['hello']);
  });
});

/** No file of the deployment holds any of these texts: databases, journals, logs. */
function expectNowhere(texts: readonly string[], groupId: Uint8Array): void {
  const folder = inject('folder');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  // What was sent is there, in its encrypted form.
  const holdsGroup = files.filter(({ parentPath, name }) =>
    readFileSync(join(parentPath, name)).includes(Buffer.from(groupId)),
  );
  expect(holdsGroup.map(({ name }) => name).join()).toContain('messaging');
  for (const { parentPath, name } of files) {
    const bytes = readFileSync(join(parentPath, name));
    for (const text of texts) expect(bytes.includes(text), `${name}: ${text}`).toBe(false);
  }
}
