// handrail-chat: several people, by invitation.
import { describe, expect, test } from 'vitest';

import { done, newPerson, nowhere, run, start, texts } from './commands.ts';
import { until } from '../support/until.ts';

/** Looks often, so that devices are let in while a test waits. */
const FOLLOW = ['read', '--follow', '--json', '--check', '1'];

describe('people who come by invitation', () => {
  test('talk, and the invitation is nowhere but where it was shown', async () => {
    const [ann, bob, carol] = await Promise.all([newPerson(), newPerson(), newPerson()]);
    const [begun] = await done(ann, ['group']);
    const conversation: string = begun?.['conversation'];
    const codes: string[] = [];
    for (const guest of [bob, carol]) {
      const [made] = await done(ann, ['invite', conversation.slice(14, 20)]);
      expect(made).toMatchObject({ event: 'invitation', conversation });
      codes.push(made?.['code']);
      const open = await done(ann, ['invite', '--list']);
      expect(open.map(({ invitation }) => invitation)).toEqual([made?.['invitation']]);
      expect(JSON.stringify(open)).not.toContain(made?.['code']);
      const [accepted] = await done(guest, ['accept'], `\n${made?.['code']}\n`);
      expect(accepted).toEqual({ event: 'accepted', conversation });
    }
    const followers = [ann, bob, carol].map((home) => start(home, FOLLOW));
    await done(ann, ['send'], 'welcome, both of you');
    for (const one of followers) {
      await until('the message', 30, () => texts(one.said()).length === 1);
    }
    await done(carol, ['send'], 'thank you');
    for (const one of followers) {
      await until('the answer', 30, () => texts(one.said()).length === 2);
      const { said } = await one.interrupt();
      expect(texts(said)).toEqual(['welcome, both of you', 'thank you']);
    }
    nowhere([ann, bob, carol], [...codes, ...codes.map((code) => code.split('.')[1] ?? code)]);
  });

  test('are told when an invitation is none, was used or taken back', async () => {
    const [ann, bob, carol] = await Promise.all([newPerson(), newPerson(), newPerson()]);
    await done(ann, ['group']);
    const [made] = await done(ann, ['invite']);
    const code: string = made?.['code'];
    await done(bob, ['accept'], code);
    await done(bob, ['accept'], code);
    const used = await run(carol, ['accept', '--json'], code);
    expect(used.code).toBe(1);
    expect(used.said.at(-1)).toMatchObject({ event: 'error', reason: 'NOT_FOUND' });
    const [another] = await done(bob, ['invite']);
    await done(ann, ['invite', '--revoke', another?.['invitation']]);
    const revoked = await run(carol, ['accept', '--json'], another?.['code']);
    expect(revoked.said.at(-1)).toMatchObject({ event: 'error', reason: 'NOT_FOUND' });
    const none = await run(carol, ['accept'], 'a secret of another kind');
    expect(none.code).toBe(2);
    expect(none.out + none.err).not.toContain('another kind');
    const empty = await run(carol, ['accept'], '\n');
    expect(empty.code).toBe(2);
    expect(empty.err).toContain('no invitation on standard input');
  });
});
