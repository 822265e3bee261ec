// Files that go with messages, on the real services.
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect, inject, test } from 'vitest';

import { Attachments, bytesSource } from '../../src/index.ts';
import type { AttachmentDescriptor } from '../../src/index.ts';
import { until } from '../support/until.ts';
import { newDevice } from './people.ts';
import type { Device } from './people.ts';
import { killMessaging, talker, twoPeople } from './talkers.ts';

const attachmentsOf = ({ session, store }: Device) =>
  new Attachments({ transport: session, store, backoff: { firstMs: 50, capMs: 1000 } });

async function gathered(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

const reasonOf = (step: Promise<unknown>): Promise<string> =>
  step.then(
    () => 'none',
    (error: { reason?: string }) => error.reason ?? String(error),
  );

/** All that lies in messaging's ledger, with what is still in its log. */
function ledger(): Buffer {
  const folder = inject('folder');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const ours = files.filter((name) => /messaging\.db(-wal)?$/.test(name));
  expect(ours.length).toBeGreaterThan(0);
  return Buffer.concat(ours.map((name) => readFileSync(join(folder, name))));
}

test('a file gets through while messaging is killed, and nobody else reads it', async () => {
  const { ann, bob, conversation } = await twoPeople();
  const bobTalks = await talker(bob);
  const received: AttachmentDescriptor[] = [];
  const annTalks = await talker(ann, {
    handler: {
      message: async (_, { attachments = [] }) => {
        received.splice(0, Infinity, ...attachments);
      },
    },
  });
  await annTalks.conversations.start(conversation);
  await bobTalks.conversations.start(conversation);

  const marker = 'what only the two of them may read '.repeat(20);
  const content = Buffer.concat([Buffer.from(marker), randomBytes(3_000_000), Buffer.from(marker)]);
  const bobs = attachmentsOf(bob);
  const kills: Promise<void>[] = [];
  const descriptor = await bobs.upload(
    bytesSource(content),
    { conversation, name: 'a letter to nobody else.txt', mediaType: 'text/plain' },
    {
      onProgress: (done) => {
        if (done === 10 || done === 30) kills.push(killMessaging());
      },
    },
  );
  await Promise.all(kills);
  expect(kills).toHaveLength(2);
  expect((await bobs.uploads()).map(({ finished }) => finished)).toEqual([true]);
  await bobTalks.conversations.send(conversation, 'for you', { attachments: [descriptor] });
  expect(await bobs.uploads()).toEqual([]);
  await bobTalks.conversations.flush(conversation);

  await until('the message', 20, async () => {
    await annTalks.conversations.fetch(conversation);
    return received.length > 0;
  });
  expect(received).toEqual([descriptor]);
  const anns = attachmentsOf(ann);
  const pieces = anns.download(received[0]!);
  const first = await pieces.next();
  const have = bytesSource(first.value!);
  await pieces.return();
  await killMessaging();
  const rest = await gathered(anns.download(received[0]!, { have }));
  expect(Buffer.concat([first.value!, rest]).equals(content)).toBe(true);

  // Somebody who has the descriptor, and is no member.
  const cat = attachmentsOf(await newDevice());
  expect(await reasonOf(gathered(cat.download(descriptor)))).toBe('NOT_FOUND');

  const there = ledger();
  expect(there.includes(Buffer.from('what only the two'))).toBe(false);
  expect(there.includes(Buffer.from('a letter to nobody'))).toBe(false);
  expect(there.includes(Buffer.from('text/plain'))).toBe(false);
  expect(there.includes(Buffer.from(descriptor.key, 'hex'))).toBe(false);
  expect(there.includes(Buffer.from(descriptor.key))).toBe(false);
  // It does hold what they sent.
  expect(there.includes(Buffer.from(descriptor.id.slice('attachments/'.length), 'hex'))).toBe(true);

  await bobs.remove(descriptor.id);
  expect(await reasonOf(gathered(anns.download(descriptor)))).toBe('NOT_FOUND');
}, 90_000);
