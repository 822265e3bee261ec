// An app that crashes at every one of its writes, with the write on disk and without, and is opened
// again on what is there.
import { describe, expect, test } from 'vitest';

import { GroupService, MessagingService } from '../../src/api.ts';
import { groupOf } from '../../src/conversations/records.ts';
import { SealedStore, Session } from '../../src/index.ts';
import { FileStore } from '../../src/node.ts';
import { CrashingStore } from '../support/crashing_store.ts';
import type { CrashMoment } from '../support/crashing_store.ts';
import { until } from '../support/until.ts';
import { PASSPHRASE, patiently, transportTo } from './people.ts';
import type { Device } from './people.ts';
import { anotherDevice, linesOf, reopened, talker, twoPeople } from './talkers.ts';
import type { Talker } from './talkers.ts';

/** A conversation of two, one of whom is about to crash. */
interface Stage {
  readonly people: { readonly ann: Device; readonly bob: Device };
  readonly conversation: string;
  readonly peer: Talker;
  /** What was promised to be sent. */
  readonly said: string[];
  /** Another device of the peer, which is not in the group yet. */
  late?: Talker;
  /** What a person does again after a crash, if it did not come to pass. */
  again?: (stage: Stage) => Promise<void>;
  app: Talker;
}

type Flow = (stage: Stage) => Promise<void>;

async function say(who: Talker, { conversation, said }: Stage, what: string): Promise<void> {
  const text = `${what} ${said.length}`;
  await who.conversations.send(conversation, text);
  said.push(text);
  await who.conversations.flush(conversation);
}

const begins: Flow = async (stage) => {
  const { app, peer, conversation } = stage;
  await app.conversations.start(conversation);
  await say(app, stage, 'hello');
  await peer.conversations.fetch(conversation);
  await say(peer, stage, 'hi');
  await app.conversations.fetch(conversation);
};

const isLetIn: Flow = async (stage) => {
  const { app, peer, conversation } = stage;
  await peer.conversations.start(conversation);
  await say(peer, stage, 'are you there?');
  await app.conversations.fetch(conversation);
  await say(app, stage, 'yes');
};

const changesKeys: Flow = async (stage) => {
  const { app, peer, conversation } = stage;
  await app.conversations.refreshKeys(conversation);
  await say(app, stage, 'new keys');
  await peer.conversations.fetch(conversation);
  await peer.conversations.refreshKeys(conversation);
  await say(peer, stage, 'here too');
  await app.conversations.fetch(conversation);
  await say(app, stage, 'I see');
};

const letsIn: Flow = async (stage) => {
  const { app, conversation } = stage;
  await app.conversations.tidy(conversation);
  await say(app, stage, 'there are three of us');
};

const startsAnew: Flow = async (stage) => {
  const { app, peer, conversation } = stage;
  await say(peer, stage, 'nobody has read this');
  await app.conversations.reset(conversation);
  await say(app, stage, 'a new group');
};

async function startAnewAgain({ app, conversation }: Stage): Promise<void> {
  const group = await app.session.unary(GroupService.method.getGroup, { conversation });
  if (group.generation === 0n) await app.conversations.reset(conversation);
}

async function stageThatTalks(): Promise<Stage> {
  const stage = await newStage();
  await begins(stage);
  return stage;
}

async function stageWithLateDevice(): Promise<Stage> {
  const stage = await stageThatTalks();
  const late = await talker(await anotherDevice(stage.people.bob));
  const { conversation, app } = stage;
  await until('messaging to know the device', 20, async () => {
    const group = await app.session.unary(GroupService.method.getGroup, { conversation });
    return group.devices.some(({ device }) => device === late.session.deviceKey.device);
  });
  return { ...stage, late };
}

async function newStage(): Promise<Stage> {
  const { conversation, ...people } = await twoPeople();
  const peer = await talker(people.bob);
  return { people, conversation, peer, said: [], app: await talker(people.ann) };
}

/** Puts the app on a store that crashes once it is told to. */
async function onCrashingStore(stage: Stage): Promise<CrashingStore> {
  const { folder } = stage.app;
  await stage.app.store.close();
  const crashing = new CrashingStore(await FileStore.open(folder));
  const store = await SealedStore.unlock(crashing, PASSPHRASE);
  const transport = transportTo();
  const session = await patiently(() => Session.signIn(transport, store));
  stage.app = await talker({ folder, store, session });
  return crashing;
}

/** Runs a flow into a crash, then on to its end. Gives how many writes it took, up to the crash. */
async function crash(stage: Stage, flow: Flow, at: number, moment: CrashMoment): Promise<number> {
  const { conversation, peer } = stage;
  const crashing = await onCrashingStore(stage);
  crashing.arm(at, moment);
  const running = flow(stage);
  if (at === Infinity) {
    await running;
    return crashing.writes;
  }
  // Not always as the crash itself: a call may have been under way.
  await expect(running).rejects.toThrow();
  expect(crashing.crashed).toBe(true);
  await stage.app.conversations.flush(conversation).catch(() => {});
  await crashing.close();

  stage.app = await reopened(stage.app);
  await stage.app.conversations.start(conversation);
  await stage.again?.(stage);
  await say(stage.app, stage, 'back again');
  await peer.conversations.start(conversation);
  await say(peer, stage, 'good');
  for (const one of [peer, stage.app]) await one.conversations.fetch(conversation);
  await expectWhole(stage);
  return crashing.writes;
}

async function expectWhole({ app, peer, late, conversation, said }: Stage): Promise<void> {
  const lines = await linesOf(app);
  expect(lines).toEqual(await linesOf(peer));
  for (const text of said) expect(lines.filter((line) => line === text)).toEqual([text]);
  expect(new Set(lines).size).toBe(lines.length);
  const digits = await app.conversations.authenticator(conversation);
  if (late !== undefined) {
    await late.conversations.fetch(conversation);
    expect(await late.conversations.authenticator(conversation)).toBe(digits);
    const heard = await linesOf(late);
    expect(heard.length).toBeGreaterThan(1);
    expect(heard).toEqual(lines.slice(-heard.length));
  }
  expect(digits).toMatch(/^[0-9]{30}$/);
  expect(await peer.conversations.authenticator(conversation)).toBe(digits);
  // Nothing is left half done.
  for (const prefix of ['outbox/', 'pending-commit/', 'claim/']) {
    expect(await app.store.list(prefix)).toEqual([]);
  }
  const group = await app.session.unary(GroupService.method.getGroup, { conversation });
  const own = await groupOf(app.store, conversation);
  expect(own?.standing).toBe('in');
  // It never had to join anew: what it began it went on with.
  if (group.generation === 0n) expect(own?.joined).toBe(1n);
  expect((await app.conversations.view(conversation))?.epoch).toBe(group.epoch);
  const { welcomes } = await app.session.unary(GroupService.method.fetchWelcomes, {});
  expect(welcomes).toEqual([]);
  const { headSequence } = await app.session.unary(MessagingService.method.getConversation, {
    name: conversation,
  });
  // The messages and the commits, of which each group that has ended had one: no message is stored
  // twice.
  expect(headSequence).toBe(BigInt(lines.length) + group.generation + group.epoch);
}

/** Runs a flow once as it is, then into a crash at each of its writes. */
async function crashEverywhere(flow: Flow, stageOf: () => Promise<Stage>): Promise<void> {
  const writes = await crash(await stageOf(), flow, Infinity, 'before');
  expect(writes).toBeGreaterThan(4);
  for (let at = 1; at <= writes; ++at) {
    for (const moment of ['before', 'after'] as const) {
      await crash(await stageOf(), flow, at, moment).catch((error: unknown) => {
        throw new Error(`a crash ${moment} write ${at} of ${writes}: ${error}`, { cause: error });
      });
    }
  }
}

describe('an app that crashes at any write finds its way', { timeout: 240_000 }, () => {
  test('when it begins a conversation', () => crashEverywhere(begins, newStage));

  test('when it is let in', () => crashEverywhere(isLetIn, newStage));

  test('when it lets a device in', () => crashEverywhere(letsIn, stageWithLateDevice));

  test('when it starts the group anew', () => {
    return crashEverywhere(startsAnew, async () => {
      return { ...(await stageThatTalks()), again: startAnewAgain };
    });
  });

  test('when it changes its keys', async () => {
    const stage = await stageThatTalks();
    await crashEverywhere(changesKeys, async () => stage);
  });
});
