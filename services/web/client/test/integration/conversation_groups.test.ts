// Several people who come together by invitation.
import { describe, expect, test } from 'vitest';

import { SafetyService } from '../../src/gen/handrail/profiles/v1/safety_pb.ts';
import { newRequestId } from '../../src/index.ts';
import type { HandrailError } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { newDevice } from './people.ts';
import { allHave, anotherDevice, linesOf, talker } from './talkers.ts';
import type { Talker } from './talkers.ts';

const started = async (...all: Promise<Talker>[]): Promise<Talker[]> => {
  const talkers = await Promise.all(all);
  for (const one of talkers) one.run();
  return talkers;
};

/** One person lets another in. */
async function letIn(from: Talker, to: Talker, conversation: string): Promise<void> {
  const { code } = await from.conversations.invite(conversation);
  expect(await to.conversations.accept(code)).toBe(conversation);
}

/** Waits until so many devices can read, as each of these sees it. */
async function allSee(talkers: readonly Talker[], conversation: string, devices: number) {
  for (const one of talkers) {
    await until(`${devices} devices`, 20, async () => {
      const view = await one.conversations.view(conversation);
      return view?.members.length === devices;
    }).catch((error: unknown) => {
      const problems = one.problems.slice(0, 5).map(({ message }) => message).join('; ');
      throw new Error(`not ${devices} devices (${problems})`, { cause: error });
    });
  }
}

const reasonOf = (error: unknown) => (error as HandrailError).reason;
const refusal = (call: Promise<unknown>) => call.then(() => 'nothing', reasonOf);

// Many devices, each with keys of its own to make.
describe('people who come by invitation', { timeout: 120_000 }, () => {
  test('talk end to end encrypted, and read nothing of before they came', async () => {
    const [ann, bob] = await started(talker(await newDevice()), talker(await newDevice()));
    const tablet = await talker(await anotherDevice(bob!));
    tablet.run();
    const conversation = await ann!.conversations.createGroup();
    // What is said to nobody waits for somebody.
    await ann!.conversations.send(conversation, 'anybody here?');
    await letIn(ann!, bob!, conversation);
    await allHave([ann!, bob!, tablet], ['anybody here?']);
    await allSee([ann!, bob!, tablet], conversation, 3);

    const carol = await talker(await newDevice());
    carol.run();
    await letIn(bob!, carol, conversation);
    await allSee([ann!, bob!, tablet, carol], conversation, 4);
    await carol.conversations.send(conversation, 'I am new');
    await allHave([ann!, bob!, tablet], ['anybody here?', 'I am new']);
    await allHave([carol], ['I am new']);
    const authenticators = await Promise.all(
      [ann!, bob!, tablet, carol].map((one) => one.conversations.authenticator(conversation)),
    );
    expect(new Set(authenticators).size).toBe(1);
  });

  test('leave, and come back by another invitation', async () => {
    const [ann, bob, carol] = await started(
      talker(await newDevice()),
      talker(await newDevice()),
      talker(await newDevice()),
    );
    const conversation = await ann!.conversations.createGroup();
    await letIn(ann!, bob!, conversation);
    await letIn(ann!, carol!, conversation);
    await ann!.conversations.send(conversation, 'one');
    await allHave([ann!, bob!, carol!], ['one']);
    await carol!.conversations.leave(conversation);
    await allSee([ann!, bob!], conversation, 2);
    await bob!.conversations.send(conversation, 'two');
    await allHave([ann!, bob!], ['one', 'two']);
    await letIn(bob!, carol!, conversation);
    await allSee([ann!, bob!, carol!], conversation, 3);
    await ann!.conversations.send(conversation, 'three');
    await carol!.conversations.send(conversation, 'four');
    await until('all of it', 20, async () => (await linesOf(ann!)).length === 4);
    await until('her part', 20, async () => (await linesOf(carol!)).length === 3);
    expect(await linesOf(carol!)).not.toContain('two');
    expect((await linesOf(carol!)).sort()).toEqual(['four', 'one', 'three']);
  });

  test('are out when somebody there has blocked them, and the others go on', async () => {
    const [ann, bob, carol] = await started(
      talker(await newDevice()),
      talker(await newDevice()),
      talker(await newDevice()),
    );
    const conversation = await ann!.conversations.createGroup();
    await letIn(ann!, bob!, conversation);
    await letIn(ann!, carol!, conversation);
    await ann!.conversations.send(conversation, 'one');
    await allHave([ann!, bob!, carol!], ['one']);
    await carol!.session.unary(SafetyService.method.blockMember, {
      member: bob!.session.member,
      requestId: newRequestId(),
    });
    await allSee([ann!, carol!], conversation, 2);
    await ann!.conversations.send(conversation, 'two');
    await allHave([ann!, carol!], ['one', 'two']);
    expect(await linesOf(bob!)).toEqual(['one']);
    const { code } = await ann!.conversations.invite(conversation);
    expect(await refusal(bob!.conversations.accept(code))).toBe('NOT_FOUND');
  });

  test('come by a code that is whole, once, while it is open', async () => {
    const [ann, bob] = await started(talker(await newDevice()), talker(await newDevice()));
    const conversation = await ann!.conversations.createGroup();
    const { code, invitation } = await ann!.conversations.invite(conversation);
    expect(code).toMatch(/^handrailinvitation1\.[A-Za-z0-9_-]{43}$/);
    const open = await ann!.conversations.invitations(conversation);
    expect(open.map(({ name }) => name)).toEqual([invitation.name]);
    await expect(async () => bob!.conversations.accept(code.slice(0, -1))).rejects.toThrow(
      RangeError,
    );
    const other = code.slice(0, -4) + (code.at(-4) === 'A' ? 'B' : 'A') + code.slice(-3);
    expect(await refusal(bob!.conversations.accept(other))).toBe('NOT_FOUND');
    await ann!.conversations.revoke(invitation.name);
    expect(await refusal(bob!.conversations.accept(code))).toBe('NOT_FOUND');
    expect(await ann!.conversations.invitations(conversation)).toEqual([]);
  });
});
