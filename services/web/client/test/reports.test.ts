import { create } from '@bufbuild/protobuf';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { EnvelopeSchema, ReportReason } from '../src/api.ts';

import type { Envelope } from '../src/api.ts';
import { decodeContent, encodeContent } from '../src/conversations/content.ts';
import { frank, openFranked } from '../src/conversations/franking.ts';
import { MAX_REPORTABLE, keepEvidence, report, reportable } from '../src/conversations/reports.ts';
import { SealedStore } from '../src/index.ts';
import type { Transport } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { utf8 } from './devices.ts';
import { withFolder } from './support/folders.ts';

const CHEAP = {
  cost: { memoryKib: 64, passes: 1 },
};
const TALK = 'conversations/1';

describe('a franked message', () => {
  const content = utf8('{"what":"was said"}');

  test('opens to its content, its key and its commitment', () => {
    const { plaintext, authenticatedData } = frank(content);
    const { content: opened, franking } = openFranked(plaintext, authenticatedData);
    expect(opened).toEqual(content);
    expect(franking!.key).toHaveLength(32);
    expect(franking!.commitment).toEqual(hmac(sha256, franking!.key, content));
    expect(authenticatedData).toEqual(new Uint8Array([1, ...franking!.commitment]));
  });

  test('has another key each time', () => {
    const [one, other] = [frank(content), frank(content)];
    expect(one.plaintext).not.toEqual(other.plaintext);
    expect(one.authenticatedData).not.toEqual(other.authenticatedData);
  });

  test('of which a bit was changed can be read, and is not taken for committed to', () => {
    const { plaintext, authenticatedData } = frank(content);
    const flipped = (bytes: Uint8Array, at: number) =>
      bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
    for (const at of [1, 32]) {
      const { content: opened, franking } = openFranked(flipped(plaintext, at), authenticatedData);
      expect([opened, franking]).toEqual([content, undefined]);
    }
    expect(openFranked(flipped(plaintext, 33), authenticatedData).franking).toBe(undefined);
    for (const at of [0, 1, 32]) {
      expect(openFranked(plaintext, flipped(authenticatedData, at)).franking).toBe(undefined);
    }
    for (const data of [
      utf8(''),
      authenticatedData.slice(0, 32),
      frank(content).authenticatedData,
    ]) {
      expect(openFranked(plaintext, data).franking).toBe(undefined);
    }
    const longer = new Uint8Array([...authenticatedData, 0]);
    expect(openFranked(plaintext, longer).franking).toBe(undefined);
  });

  test('that commits to nothing is all content, as older apps sent it', () => {
    expect(openFranked(content, utf8(''))).toEqual({ content });
    expect(openFranked(utf8(''), utf8(''))).toEqual({ content: utf8('') });
    expect(openFranked(new Uint8Array(32).fill(1), utf8(''))).toMatchObject({
      content: new Uint8Array(32).fill(1),
    });
  });
});

function said(
  sequence: number,
  text: string,
  { messageId = idOf(sequence), sender = 'members/2' } = {},
): { envelope: Envelope; content: Uint8Array } {
  const envelope = create(EnvelopeSchema, {
    conversation: TALK,
    sequence: BigInt(sequence),
    sender,
    senderDevice: sender.replace('members', 'devices'),
    messageId,
    createTime: { seconds: 1_700_000_000n, nanos: 123_456_000 },
    franking: {
      stamp: new Uint8Array(32).fill(7),
      previousCommitment: new Uint8Array(32).fill(8),
      keyId: 'k1',
    },
  });
  return { envelope, content: encodeContent({ id: messageId, text }) };
}

const idOf = (sequence: number) => sequence.toString(16).padStart(32, '0');

async function keep(store: SealedStore, ...messages: ReturnType<typeof said>[]): Promise<void> {
  await store.transact(async (transaction) => {
    for (const { envelope, content } of messages) {
      const { plaintext, authenticatedData } = frank(content);
      const { franking } = openFranked(plaintext, authenticatedData);
      expect(await keepEvidence(transaction, envelope, content, franking)).toBe(true);
    }
  });
}

const withStore = (step: (store: SealedStore, folder: string) => Promise<void>) =>
  withFolder(async (folder) => {
    const store = await SealedStore.create(await FileStore.open(folder), 'a passphrase', CHEAP);
    await step(store, folder);
    await store.close();
  });

/** A server that takes every report. */
function desk(): { transport: Transport; requests: any[] } {
  const requests: any[] = [];
  const unary = async (_: unknown, request: unknown) => {
    requests.push(request);
    return { report: 'reports/5' };
  };
  return { transport: { unary } as unknown as Transport, requests };
}

describe('a report', () => {
  test('shows what was chosen in its order, as it was said and stamped, and nothing else', () =>
    withStore(async (store) => {
      await keep(store, said(3, 'three'), said(12, 'twelve'), said(5, 'five'));
      const { transport, requests } = desk();
      const options = { reason: 'harassment', note: 'again', requestId: 'r1' } as const;
      const chosen = [12n, 3n, 12n];
      expect(await report({ transport, store }, TALK, chosen, options)).toBe('reports/5');
      const [request] = requests;
      expect(request).toMatchObject({ conversation: TALK, note: 'again', requestId: 'r1' });
      expect(request.reason).toBe(ReportReason.HARASSMENT);
      expect(request.messages.map(({ sequence }: any) => sequence)).toEqual([3n, 12n]);
      const [first] = request.messages;
      expect(first).toMatchObject({
        sender: 'members/2',
        senderDevice: 'devices/2',
        createTime: { seconds: 1_700_000_000n, nanos: 123_456_000 },
        content: encodeContent({ id: idOf(3), text: 'three' }),
        previousCommitment: new Uint8Array(32).fill(8),
        stamp: new Uint8Array(32).fill(7),
        keyId: 'k1',
      });
      expect(first.commitment).toEqual(hmac(sha256, first.frankingKey, first.content));
    }));

  test('shows one message of two to which two people gave the same id', () =>
    withStore(async (store) => {
      const messageId = idOf(7);
      await keep(store, said(1, 'an insult', { messageId }));
      await keep(store, said(2, 'a kind word', { messageId, sender: 'members/3' }));
      const { transport, requests } = desk();
      await report({ transport, store }, TALK, [1n], { reason: 'harassment' });
      const shown = requests[0].messages.map(({ sequence, sender }: any) => [sequence, sender]);
      expect(shown).toEqual([[1n, 'members/2']]);
    }));

  test('discloses with a message what opens its files, and no other file', () =>
    withStore(async (store) => {
      const file = (digit: string) => ({
        id: `attachments/${digit.repeat(32)}`,
        key: digit.repeat(64),
        digest: '0'.repeat(64),
        size: 5,
        name: `${digit}.jpg`,
        mediaType: 'image/jpeg',
      });
      const withFile = (sequence: number, digit: string) => {
        const { envelope } = said(sequence, '');
        const what = { id: envelope.messageId, text: '', attachments: [file(digit)] };
        return { envelope, content: encodeContent(what) };
      };
      await keep(store, withFile(1, 'a'), withFile(2, 'b'));
      expect((await reportable(store, TALK))[0]).toMatchObject({ attachments: [file('a')] });
      const { transport, requests } = desk();
      await report({ transport, store }, TALK, [1n], { reason: 'sexual' });
      const [shown, ...more] = requests[0].messages;
      expect(more).toEqual([]);
      expect(decodeContent(shown.content)).toMatchObject({ attachments: [file('a')] });
      expect(shown.commitment).toEqual(hmac(sha256, shown.frankingKey, shown.content));
    }));

  test('is of what can be reported from here, bounded, or is not made', () =>
    withStore(async (store) => {
      await keep(store, ...Array.from({ length: 33 }, (_, i) => said(i + 1, 'x')));
      const { transport, requests } = desk();
      const make = (sequences: readonly bigint[]) =>
        report({ transport, store }, TALK, sequences, { reason: 'other' });
      await expect(make([])).rejects.toThrow(RangeError);
      await expect(make([1n, 99n])).rejects.toThrow('cannot be reported');
      const all = Array.from({ length: 33 }, (_, i) => BigInt(i + 1));
      await expect(make(all)).rejects.toThrow('1 to 32');
      const long = Array.from({ length: 5 }, (_, i) => said(i + 40, 'y'.repeat(14_000)));
      await keep(store, ...long);
      await expect(make(long.map(({ envelope }) => envelope.sequence))).rejects.toThrow(
        'too long',
      );
      await expect(
        report({ transport, store }, 'conversations/2', [1n], { reason: 'other' }),
      ).rejects.toThrow('cannot be reported');
      expect(requests).toEqual([]);
      await make(all.slice(1));
      expect(requests).toHaveLength(1);
    }));
});

describe('the evidence', () => {
  test('is bounded, the oldest goes first', () =>
    withStore(async (store) => {
      const many = Array.from({ length: MAX_REPORTABLE + 3 }, (_, i) => said(i + 1, `${i + 1}`));
      for (let i = 0; i < many.length; i += 100) await keep(store, ...many.slice(i, i + 100));
      const kept = await reportable(store, TALK);
      expect(kept).toHaveLength(MAX_REPORTABLE);
      expect(kept[0]).toMatchObject({ sequence: 4n, text: '4', messageId: idOf(4) });
      expect(kept.at(-1)).toMatchObject({ text: '503', time: 1_700_000_000_123 });
    }));

  test('is kept only of what the server has stamped and the sender has committed to', () =>
    withStore(async (store) => {
      const { envelope, content } = said(1, 'one');
      const { plaintext, authenticatedData } = frank(content);
      const { franking } = openFranked(plaintext, authenticatedData);
      const { franking: _, ...unstamped } = envelope;
      await store.transact(async (transaction) => {
        expect(await keepEvidence(transaction, envelope, content, undefined)).toBe(false);
        const bare = create(EnvelopeSchema, unstamped);
        expect(await keepEvidence(transaction, bare, content, franking)).toBe(false);
      });
      expect(await reportable(store, TALK)).toEqual([]);
    }));

  test('is in no file in the clear', () =>
    withStore(async (store, folder) => {
      await keep(store, said(1, 'what was said'));
      const paths = (await readdir(folder)).map((name) => join(folder, name));
      const bytes = Buffer.concat(await Promise.all(paths.map((path) => readFile(path))));
      expect(bytes.includes('evidence/')).toBe(true);
      expect(bytes.includes('what was said')).toBe(false);
      expect(bytes.includes(Buffer.from('what was said').toString('hex'))).toBe(false);
    }));
});
