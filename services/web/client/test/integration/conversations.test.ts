import { describe, expect, test } from 'vitest';

import { allHave, talker, twoPeople } from './talkers.ts';

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
});
