import { describe, expect, test } from 'vitest';

import { done, run, twoPeople } from './commands.ts';

describe('a report from the command line', () => {
  test('lists what there is, hands over what is named, and is one when it is run again', async () => {
    const { ann, bob } = await twoPeople();
    await done(ann, ['send'], 'hello');
    await done(bob, ['read']);
    await done(ann, ['send', '--lines'], 'an insult\nanother one\n');
    await done(bob, ['read']);
    const listed = await done(bob, ['report']);
    expect(listed.map(({ event, text, from }) => [event, text, from])).toEqual([
      ['reportable', 'hello', 'they'],
      ['reportable', 'an insult', 'they'],
      ['reportable', 'another one', 'they'],
    ]);
    const chosen = listed.slice(1).map(({ sequence }) => `--message=${sequence}`);
    const id = 'a1b2c3d4e5f60718293a4b5c6d7e8f91';
    const args = ['report', ...chosen, '--reason=harassment', '--note', `--id=${id}`];
    const [reported] = await done(bob, args, 'It does not stop.\nI asked.\n');
    expect(reported).toMatchObject({ event: 'reported' });
    expect(reported!['report']).toMatch(/^reports\/[0-9a-f]{32}$/);
    const [again] = await done(bob, args, 'It does not stop.\nI asked.\n');
    expect(again!['report']).toBe(reported!['report']);
    expect((await run(bob, ['report', chosen[0]!])).err).toContain('needs --reason');
    const nothing = await run(bob, ['report', '--message=999999', '--reason=other']);
    expect([nothing.code, nothing.err]).toEqual([1, expect.stringContaining('can be reported')]);
  });
});
