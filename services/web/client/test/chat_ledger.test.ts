// That the check of the fault run finds what it is there to find.
import { expect, test } from 'vitest';

import { findingsIn } from './replicas/chat_ledger.ts';
import type { Conversation } from './replicas/chat_ledger.ts';
import type { Place } from './replicas/chatter.ts';

const place = (sequence: number, messageId: string): Place => ({
  sequence: BigInt(sequence),
  messageId,
});
const STORED = [place(1, 'a'), place(2, 'b'), place(3, 'c')];

function conversation(faulty: {
  stored?: readonly Place[];
  told?: readonly Place[];
  heard?: readonly Place[];
}): Conversation {
  const { stored = STORED, told = [STORED[0]!, STORED[2]!], heard = stored } = faulty;
  return { name: 'it', stored, devices: [{ name: 'ann', told, heard }] };
}

test('a conversation as it should be', () => {
  expect(findingsIn(conversation({}))).toEqual([]);
  expect(findingsIn(conversation({ stored: [], told: [] }))).toEqual([]);
});

const heard = (...places: Place[]) => ({ heard: places });
test.each([
  ['a message that was acknowledged and is gone', { stored: [place(1, 'a'), place(2, 'b')] }],
  ['a message that is stored twice', { stored: [...STORED, place(4, 'a')] }],
  ['a place that is left out', { stored: [place(1, 'a'), place(3, 'c')] }],
  ['a place that is taken twice', { stored: [...STORED, place(3, 'd')] }],
  ['another place than was said', { told: [place(2, 'a')] }],
  ['an order that is not the speaker’s', { told: [place(3, 'c'), place(1, 'a')] }],
  ['a device that did not hear the last one', heard(STORED[0]!, STORED[1]!)],
  ['a device that did not hear one between', heard(STORED[0]!, STORED[2]!)],
  ['a device that heard one twice', heard(STORED[0]!, STORED[0]!, STORED[1]!, STORED[2]!)],
  ['a device that heard them in another order', heard(STORED[1]!, STORED[0]!, STORED[2]!)],
  ['a device that heard another', heard(STORED[0]!, place(2, 'x'), STORED[2]!)],
])('%s is a finding', (_, faulty) => {
  expect(findingsIn(conversation(faulty)).length).toBeGreaterThan(0);
});
