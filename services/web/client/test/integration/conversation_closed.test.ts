// What is closed stays as it is.
import { describe, expect, test } from 'vitest';

import { ConversationState, MatchingService, MessagingService } from '../../src/api.ts';
import { groupOf, putGroup } from '../../src/conversations/records.ts';
import { newRequestId } from '../../src/index.ts';
import { until } from '../support/until.ts';
import type { Device } from './people.ts';
import { allHave, passing, refusedOf, talker, twoPeople } from './talkers.ts';

async function endPairing({ session }: Device, conversation: string): Promise<void> {
  const { pairings } = await session.unary(MatchingService.method.listPairings, {});
  await session.unary(MatchingService.method.endPairing, {
    name: pairings[0]!.name,
    requestId: newRequestId(),
  });
  await until('the conversation to be closed', 10, async () => {
    const name = conversation;
    const { state } = await session.unary(MessagingService.method.getConversation, { name });
    return state === ConversationState.CLOSED;
  });
}

describe('a conversation that is closed', () => {
  test('has its group looked at ever less often, and nothing is done to it', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const calls: string[] = [];
    const session = passing(people.ann, (method, call) => {
      calls.push(method);
      return call();
    });
    const ann = await talker({ ...people.ann, session }, { checkMs: 100 });
    const bob = await talker(people.bob);
    await ann.conversations.start(conversation);
    ann.run();
    bob.run();
    await ann.conversations.send(conversation, 'hello');
    await allHave([ann, bob], ['hello']);
    await endPairing(bob, conversation);
    calls.length = 0;
    const looks = () => calls.filter((method) => method === 'GetGroup').length;
    await until('it to look several times', 30, () => looks() >= 5);
    expect(calls.filter((method) => method === 'CommitBundle')).toEqual([]);
    // It need not read or claim anything for that either.
    expect(calls.filter((method) => method === 'FetchMessages')).toEqual([]);
    expect(calls.filter((method) => method === 'ClaimKeyPackages')).toEqual([]);
    expect(ann.problems).toEqual([]);
    await ann.conversations.tidy(conversation);
    for (const change of ['refreshKeys', 'reset'] as const) {
      const refused = { code: 'FAILED_PRECONDITION', reason: 'CONVERSATION_CLOSED' };
      await expect(ann.conversations[change](conversation)).rejects.toMatchObject(refused);
    }
  });

  test('gives back what was said before it had a group', async () => {
    const { ann, bob, conversation } = await twoPeople();
    const app = await talker(ann);
    await app.conversations.send(conversation, 'is anybody there?');
    // Nobody of whom there is a key package.
    const nobody = { fault: 'nobody-ready' };
    await expect(app.conversations.flush(conversation)).rejects.toMatchObject(nobody);
    await endPairing(bob, conversation);
    await app.conversations.flush(conversation);
    expect(await refusedOf(app)).toEqual(['is anybody there? (CONVERSATION_CLOSED)']);
    expect(await app.store.list('outbox/')).toEqual([]);
  });

  test('gives back what is said after leaving', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await ann.conversations.leave(conversation);
    await ann.conversations.send(conversation, 'one more thing');
    await ann.conversations.flush(conversation);
    expect(await refusedOf(ann)).toEqual(['one more thing (CONVERSATION_CLOSED)']);
  });

  test('gives back what waits on a device that is lost', async () => {
    const people = await twoPeople();
    const { conversation } = people;
    const [ann, bob] = [await talker(people.ann), await talker(people.bob)];
    await ann.conversations.start(conversation);
    await ann.store.transact(async (transaction) => {
      const group = await groupOf(transaction, conversation);
      putGroup(transaction, conversation, { ...group!, standing: 'lost' });
    });
    await endPairing(bob, conversation);
    await ann.conversations.send(conversation, 'can you hear me?');
    await ann.conversations.flush(conversation);
    expect(await refusedOf(ann)).toEqual(['can you hear me? (CONVERSATION_CLOSED)']);
  });
});
