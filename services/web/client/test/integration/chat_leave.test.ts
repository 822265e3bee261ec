// handrail-chat: to take part no more.
import { describe, expect, test } from 'vitest';

import { until } from '../support/until.ts';
import { done, newPerson, run, start, texts } from './commands.ts';

const FOLLOW = ['read', '--follow', '--json', '--check', '1'];

describe('who leaves a conversation', () => {
  test('says so twice, keeps what was said, and hears nothing more', async () => {
    const [ann, bob, carol] = await Promise.all([newPerson(), newPerson(), newPerson()]);
    const [begun] = await done(ann, ['group']);
    const conversation: string = begun?.['conversation'];
    for (const guest of [bob, carol]) {
      const [made] = await done(ann, ['invite']);
      await done(guest, ['accept'], made?.['code']);
    }
    const followers = [ann, bob, carol].map((home) => start(home, FOLLOW));
    await done(ann, ['send'], 'welcome');
    for (const one of followers) {
      await until('the message', 30, () => texts(one.said()).length === 1);
      await one.interrupt();
    }

    const asked = await run(carol, ['leave']);
    expect([asked.code, asked.out]).toEqual([2, '']);
    expect(asked.err).toContain('for good');
    expect(asked.err).toContain('--yes');
    await done(carol, ['send'], 'still here');
    const [left] = await done(carol, ['leave', conversation.slice(14, 20), '--yes']);
    expect(left).toEqual({ event: 'left', conversation, not_sent: 0 });
    // Leaving again changes nothing.
    await done(carol, ['leave', conversation, '--yes']);

    await done(ann, ['send'], 'see you, Carol');
    const heard = start(bob, FOLLOW);
    await until('the others to go on', 30, () => texts(heard.said()).length === 2);
    await heard.interrupt();
    const kept = await done(carol, ['read', '--all']);
    expect(texts(kept)).toEqual(['welcome', 'still here']);
    expect(kept.at(-1)).toMatchObject({ event: 'conversation', state: 'closed' });
    expect(texts(await done(carol, ['export', conversation]))).toEqual(['welcome', 'still here']);
    const [reportable] = await done(carol, ['report', conversation]);
    expect(reportable).toMatchObject({ event: 'reportable', text: 'welcome' });
    const refused = await run(carol, ['send', conversation, '--json'], 'one more thing');
    expect(refused.code).toBe(1);
    expect(refused.said.at(-1)).toMatchObject({ reason: 'CONVERSATION_CLOSED' });
    const lost = await run(carol, ['leave']);
    expect([lost.code, lost.err]).toEqual([1, expect.stringContaining('no open conversation')]);
  });
});
