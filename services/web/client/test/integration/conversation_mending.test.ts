// Leaving a conversation, and starting its group anew.
import { describe, expect, test } from 'vitest';

import { ConversationState, GroupService, MessagingService } from '../../src/api.ts';
import { groupOf } from '../../src/conversations/records.ts';
import { Inbox, newRequestId } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { send } from './people.ts';
import type { Device } from './people.ts';
import { allHave, anotherDevice, linesOf, oneMore, passing, refusedOf } from './talkers.ts';
import { reopened, talker, twoPeople } from './talkers.ts';
import type { Talker } from './talkers.ts';

/** Two people who have said hello. */
async function twoWhoTalk() {
  const people = await twoPeople();
  const { conversation } = people;
  const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
  await ann.conversations.start(conversation);
  ann.run();
  bob.run();
  await ann.conversations.send(conversation, 'hello');
  await allHave([ann, bob], ['hello']);
  return { ann, bob, conversation };
}

const serverHas = ({ session }: Device, conversation: string) =>
  session.unary(GroupService.method.getGroup, { conversation });

async function bothTalkAgain(ann: Talker, bob: Talker, conversation: string): Promise<void> {
  await until('one group for both', 20, async () => {
    const digits = await Promise.all(
      [ann, bob].map(({ conversations }) => conversations.authenticator(conversation)),
    );
    return digits[0] !== undefined && digits[0] === digits[1];
  });
  await ann.conversations.send(conversation, 'do you hear me?');
  await until('it to be heard', 20, async () => (await linesOf(bob)).at(-1) === 'do you hear me?');
  await bob.conversations.send(conversation, 'I do');
  await until('the answer', 20, async () => (await linesOf(ann)).at(-1) === 'I do');
}

/** A commit of the group's epoch that nobody can make anything of, with this GroupInfo. */
async function commitGarbage(
  who: Device,
  conversation: string,
  groupInfo: Uint8Array,
): Promise<void> {
  const { groupId, epoch } = await serverHas(who, conversation);
  const frame = new Uint8Array(2 + 2 + 1 + groupId.length + 8 + 1 + 1 + 2 + 2);
  const view = new DataView(frame.buffer);
  view.setUint16(0, 1); // MLS 1.0
  view.setUint16(2, 2); // a PrivateMessage
  view.setUint8(4, groupId.length);
  frame.set(groupId, 5);
  view.setBigUint64(5 + groupId.length, epoch);
  view.setUint8(13 + groupId.length, 3); // a commit
  // No authenticated data, and two bytes of nonsense.
  frame.set([0, 1, 7, 1, 7], 14 + groupId.length);
  await who.session.unary(GroupService.method.commitBundle, {
    conversation,
    commitId: newRequestId(),
    commit: frame,
    groupInfo,
  });
}

describe('leaving', () => {
  test('ends it for this person at once, and of two for both', async () => {
    const { ann, bob, conversation } = await twoWhoTalk();
    await ann.conversations.leave(conversation);
    await ann.conversations.leave(conversation);
    expect(await ann.conversations.view(conversation)).toBeUndefined();
    expect((await groupOf(ann.store, conversation))?.state.length).toBe(0);

    const state = await until('the other to see it', 20, async () => {
      const name = conversation;
      const now = await bob.session.unary(MessagingService.method.getConversation, { name });
      return now.membersLeft.length === 1 ? now.state : undefined;
    });
    expect(state).toBe(ConversationState.CLOSED);
    await bob.conversations.send(conversation, 'are you there?');
    await until('it to be refused', 20, async () => (await refusedOf(bob)).length === 1);
    expect(await refusedOf(bob)).toEqual(['are you there? (CONVERSATION_CLOSED)']);
    expect(await linesOf(bob)).toEqual(['hello']);
    expect(ann.problems).toEqual([]);
  });
});

describe('a group', () => {
  test('is started anew by hand, and both go on in the new one', async () => {
    const { ann, bob, conversation } = await twoWhoTalk();
    const before = await serverHas(ann, conversation);
    await bob.conversations.reset(conversation);
    const after = await serverHas(ann, conversation);
    expect(after.generation).toBe(1n);
    expect(after.groupId).not.toEqual(before.groupId);
    await bothTalkAgain(ann, bob, conversation);
    await allHave([ann, bob], ['hello', 'do you hear me?', 'I do']);
    expect((await serverHas(ann, conversation)).generation).toBe(1n);
  });

  const patience = { timeout: 60_000 };
  type InfoOf = (ann: Talker, conversation: string) => Promise<Uint8Array>;
  const infos: [string, InfoOf][] = [
    ['that is none', async () => new Uint8Array([0, 1, 0, 4, 1, 2, 3])],
    [
      'of an epoch before',
      async (ann, conversation) => {
        const { groupInfo } = await serverHas(ann, conversation);
        await ann.conversations.refreshKeys(conversation);
        return groupInfo;
      },
    ],
    [
      'whose signature is wrong',
      async (ann, conversation) => {
        const { groupInfo } = await serverHas(ann, conversation);
        // The signature is the last that there is in it.
        groupInfo[groupInfo.length - 1]! ^= 1;
        return groupInfo;
      },
    ],
  ];
  test.each(infos)('broken with a GroupInfo %s is started anew', patience, async (_, infoOf) => {
    const { ann, bob, conversation } = await twoWhoTalk();
    await commitGarbage(ann, conversation, await infoOf(ann, conversation));
    const started = async () => (await serverHas(ann, conversation)).generation > 0n;
    await until('a new group', 30, started);
    await bothTalkAgain(ann, bob, conversation);
    expect(await linesOf(ann)).toEqual(['hello', 'do you hear me?', 'I do']);
  });
});

/** Somebody says something that the other, who is not there, has not read, and starts anew. */
async function saysAndResets(who: Talker, conversation: string, text: string): Promise<void> {
  await who.conversations.send(conversation, text);
  await who.conversations.flush(conversation);
  await who.conversations.reset(conversation);
}

describe('what was said in a group that has ended', () => {
  test('is read by who polls after the other has started it anew', async () => {
    const { ann, bob, conversation } = await twoWhoTalk();
    await bob.stop();
    await saysAndResets(ann, conversation, 'before it ended');
    const again = await reopened(bob);
    await again.conversations.fetch(conversation);
    expect(await linesOf(again)).toEqual(['hello', 'before it ended']);
    await ann.conversations.send(conversation, 'in the new one');
    await ann.conversations.flush(conversation);
    await again.conversations.fetch(conversation);
    expect(await linesOf(again)).toEqual(['hello', 'before it ended', 'in the new one']);
    expect(again.problems).toEqual([]);
  });

  test('is read by who has polled another conversation first', async () => {
    const { ann, bob, conversation } = await twoWhoTalk();
    const more = await oneMore(bob);
    const eve = await talker(more.eve);
    await eve.conversations.send(more.conversation, 'hi');
    await eve.conversations.flush(more.conversation);
    const heard = async () => (await linesOf(bob, more.conversation)).length === 1;
    await until('bob to hear both', 20, heard);
    await bob.stop();
    await saysAndResets(ann, conversation, 'before it ended');
    await saysAndResets(eve, more.conversation, 'here too');

    // The server tells the oldest Welcomes alone: here one, that of the other conversation.
    const device = await reopened(bob);
    const session = passing(device, async (method, call) => {
      const answer = await call();
      if (method !== 'FetchWelcomes') return answer;
      const { welcomes } = answer as { welcomes: unknown[] };
      return { welcomes: welcomes.slice(0, 1), hasMore: welcomes.length > 1 };
    });
    const again = await talker({ ...device, session });
    await again.conversations.fetch(more.conversation);
    await again.conversations.fetch(conversation);
    expect(await linesOf(again, more.conversation)).toEqual(['hi', 'here too']);
    expect(await linesOf(again, conversation)).toEqual(['hello', 'before it ended']);
    for (const name of [conversation, more.conversation]) {
      expect(await again.conversations.authenticator(name)).toBeDefined();
    }
  });

  test('is read by who starts it anew without having read it', async () => {
    const { ann, bob, conversation } = await twoWhoTalk();
    await bob.stop();
    await ann.conversations.send(conversation, 'before it ended');
    await ann.conversations.flush(conversation);
    const again = await reopened(bob);
    await again.conversations.reset(conversation);
    await again.conversations.fetch(conversation);
    expect(await linesOf(again)).toEqual(['hello', 'before it ended']);
    again.run();
    await bothTalkAgain(ann, again, conversation);
  });
});

describe('a device outside the group', () => {
  test('that starts it anew reads all that is said in the new one', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const outside = await anotherDevice(people.bob);
    await until('messaging to know the device', 20, async () => {
      return (await serverHas(people.ann, conversation)).devices.length === 3;
    });
    // Of a time when there was no group, so that what it reads next is not the first.
    await send(people.ann.session, conversation, 'in the clear');
    const { session, store } = outside;
    await new Inbox({ transport: session, store, handler: { envelope: async () => {} } }).fetch(
      conversation,
    );
    const [ann] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await ann.conversations.send(conversation, 'not for all');
    await ann.conversations.flush(conversation);
    const quick = passing(outside, async (method, call) => {
      const answer = await call();
      if (method === 'ResetConversation') {
        await ann.conversations.fetch(conversation);
        await ann.conversations.send(conversation, 'you are here now');
        await ann.conversations.flush(conversation);
      }
      return answer;
    });
    const late = await talker({ ...outside, session: quick });
    await late.conversations.reset(conversation);
    expect(await linesOf(late)).toEqual(['you are here now']);
    expect(late.problems).toEqual([]);
    expect((await serverHas(ann, conversation)).generation).toBe(1n);
  });
});
