import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  ChunkCipher,
  PLAIN_CHUNK_BYTES,
  chunkCount,
  sealedBytes,
} from '../src/attachments/chunks.ts';
import { readDescriptor, readDescriptors } from '../src/attachments/descriptor.ts';
import { decodeContent, encodeContent } from '../src/conversations/content.ts';
import {
  AttachmentError,
  Attachments,
  HandrailError,
  MAX_FILE_BYTES,
  SealedStore,
  blobSource,
  bytesSource,
} from '../src/index.ts';
import type { AttachmentDescriptor, AttachmentSource } from '../src/index.ts';
import { FileStore, fileSource } from '../src/node.ts';
import { utf8 } from './devices.ts';
import { AttachmentServer, refusal } from './support/attachment_server.ts';
import { CrashingStore } from './support/crashing_store.ts';
import { withFolder } from './support/folders.ts';

const PASSPHRASE = 'a bird in the hand';
const CHEAP = { cost: { memoryKib: 64, passes: 1 } };
const backoff = { firstMs: 1, capMs: 1 };
const CONVERSATION = `conversations/${'c'.repeat(32)}`;
const INFO = { conversation: CONVERSATION, name: 'a photo.jpg', mediaType: 'image/jpeg' };

interface Stage {
  readonly server: AttachmentServer;
  readonly store: SealedStore;
  readonly attachments: Attachments;
  readonly folder: string;
}

const staged = (step: (stage: Stage) => Promise<void>) => () =>
  withFolder(async (folder) => {
    const store = await SealedStore.create(await FileStore.open(folder), PASSPHRASE, CHEAP);
    const server = new AttachmentServer();
    const attachments = new Attachments({ transport: server, store, backoff });
    await step({ server, store, attachments, folder });
    await store.close();
  });

async function gathered(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

/** Without the comparison of each byte by itself, which takes a second for a file. */
function expectSame(bytes: Uint8Array, expected: Uint8Array): void {
  expect(bytes.length).toBe(expected.length);
  expect(Buffer.compare(bytes, expected)).toBe(0);
}

async function faultOf(step: Promise<unknown>): Promise<string> {
  try {
    await step;
    return 'none';
  } catch (error) {
    if (error instanceof AttachmentError) return error.fault;
    if (error instanceof HandrailError) return error.reason || error.code;
    throw error;
  }
}

describe('a chunk', () => {
  const key = randomBytes(32);
  const cipherOf = (bytes: number) => ChunkCipher.create(new Uint8Array(key), bytes);

  test('is sealed as STREAM says: counter and flag in the nonce, index and count bound', async () => {
    const cipher = await cipherOf(2 * PLAIN_CHUNK_BYTES + 5);
    for (const [index, last] of [[0, 0], [1, 0], [2, 1]] as const) {
      const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index, last]);
      const theirs = createCipheriv('aes-256-gcm', key, nonce);
      const bound = Buffer.from([1, 0, 0, 0, index, 0, 0, 0, 3]);
      theirs.setAAD(Buffer.concat([Buffer.from('handrail attachment'), bound]));
      const sealed = Buffer.concat([theirs.update('hello'), theirs.final(), theirs.getAuthTag()]);
      expect(Buffer.from(await cipher.seal(index, utf8('hello')))).toEqual(sealed);
      expect(await cipher.open(index, sealed)).toEqual(utf8('hello'));
    }
  });

  test('is opened in its place alone, and only unchanged', async () => {
    const cipher = await cipherOf(3 * PLAIN_CHUNK_BYTES);
    const sealed = await cipher.seal(1, utf8('hello'));
    expect(await cipher.open(0, sealed)).toBe(undefined);
    expect(await cipher.open(2, sealed)).toBe(undefined);
    // Another number of chunks: something was cut off, or put after the end.
    expect(await (await cipherOf(2 * PLAIN_CHUNK_BYTES)).open(1, sealed)).toBe(undefined);
    expect(await (await cipherOf(4 * PLAIN_CHUNK_BYTES)).open(1, sealed)).toBe(undefined);
    expect(await cipher.open(1, sealed.slice(0, -1))).toBe(undefined);
    expect(await cipher.open(1, new Uint8Array())).toBe(undefined);
    for (let bit = 0; bit < 8 * sealed.length; ++bit) {
      const changed = sealed.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(await cipher.open(1, changed)).toBe(undefined);
    }
  });

  test('there is one of a file of no bytes, and 160 of the largest', () => {
    expect([0, 1, PLAIN_CHUNK_BYTES, PLAIN_CHUNK_BYTES + 1].map(chunkCount)).toEqual([1, 1, 1, 2]);
    expect(chunkCount(MAX_FILE_BYTES)).toBe(160);
    expect(sealedBytes(MAX_FILE_BYTES)).toBe(10 * 1024 * 1024);
    expect(sealedBytes(0)).toBe(16);
  });
});

describe('a file', () => {
  const sizes = [0, 1, PLAIN_CHUNK_BYTES - 1, PLAIN_CHUNK_BYTES, PLAIN_CHUNK_BYTES + 1, 500_000];
  test.each(sizes)('of %i bytes comes back as it was', (size) =>
    staged(async ({ server, attachments }) => {
      const content = randomBytes(size);
      const descriptor = await attachments.upload(bytesSource(content), INFO);
      const { id, key, digest, ...rest } = descriptor;
      expect(rest).toEqual({ size, name: 'a photo.jpg', mediaType: 'image/jpeg' });
      expect(key).toMatch(/^[0-9a-f]{64}$/);
      const there = server.contentOf(id);
      expect(createHash('sha256').update(there).digest('hex')).toBe(digest);
      expect(there.length).toBe(sealedBytes(size));
      if (size > 20) expect(there.includes(content.subarray(0, 20))).toBe(false);
      expectSame(await gathered(attachments.download(descriptor)), content);
    })(),
  );

  test(
    'has a key of its own each time',
    staged(async ({ attachments }) => {
      const [one, other] = [
        await attachments.upload(bytesSource(utf8('the same')), INFO),
        await attachments.upload(bytesSource(utf8('the same')), INFO),
      ];
      expect(one.key).not.toBe(other.key);
      expect(one.digest).not.toBe(other.digest);
    }),
  );

  test(
    'is read a chunk at a time, and few chunks are on their way at once',
    staged(async ({ server, attachments }) => {
      const content = randomBytes(20 * PLAIN_CHUNK_BYTES);
      let largest = 0;
      const source: AttachmentSource = {
        size: content.length,
        read: async (offset, length) => {
          largest = Math.max(largest, length);
          return content.subarray(offset, offset + length);
        },
      };
      const seen: number[] = [];
      const onProgress = (done: number, count: number) => seen.push(done / count);
      const descriptor = await attachments.upload(source, INFO, { onProgress });
      expect(largest).toBe(PLAIN_CHUNK_BYTES);
      expect(server.mostUnderWay).toBeGreaterThan(1);
      expect(server.mostUnderWay).toBeLessThanOrEqual(4);
      expect(seen).toEqual(Array.from({ length: 21 }, (_, done) => done / 20));
      expectSame(await gathered(attachments.download(descriptor)), content);
    }),
  );

  test(
    'may be a Blob, or a file on disk',
    staged(async ({ attachments, folder }) => {
      const content = randomBytes(100_000);
      const path = join(folder, 'on disk');
      await writeFile(path, content);
      const file = await fileSource(path);
      for (const source of [blobSource(new Blob([new Uint8Array(content)])), file]) {
        const descriptor = await attachments.upload(source, INFO);
        expectSame(await gathered(attachments.download(descriptor)), content);
      }
      await file.close();
    }),
  );

  test(
    'that is too large, or has a name that cannot be, is refused before anything is sent',
    staged(async ({ server, attachments }) => {
      const source = { size: MAX_FILE_BYTES + 1, read: async () => new Uint8Array() };
      expect(await faultOf(attachments.upload(source, INFO))).toBe('too-large');
      for (const name of ['', '..', 'a/b', 'a\\b', 'a\nb', 'photo\u202egpj.exe', 'x'.repeat(256)]) {
        const upload = attachments.upload(bytesSource(utf8('a')), { ...INFO, name });
        await expect(upload).rejects.toThrow(RangeError);
      }
      const upload = attachments.upload(bytesSource(utf8('a')), { ...INFO, mediaType: 'photo' });
      await expect(upload).rejects.toThrow(RangeError);
      expect(server.calls).toBe(0);
    }),
  );

  test(
    'that becomes shorter while it is read is refused',
    staged(async ({ attachments }) => {
      const source = { size: 10, read: async () => utf8('short') };
      expect(await faultOf(attachments.upload(source, INFO))).toBe('changed');
    }),
  );
});

describe('an upload', () => {
  const CONTENT = randomBytes(4 * PLAIN_CHUNK_BYTES + 7);

  test.each(['before', 'after'] as const)(
    'goes on by itself when calls fail %s they took effect',
    (moment) =>
      staged(async ({ server, attachments }) => {
        server.fail = (call) => (call % 2 === 1 ? moment : undefined);
        const descriptor = await attachments.upload(bytesSource(CONTENT), INFO);
        expectSame(await gathered(attachments.download(descriptor)), CONTENT);
      })(),
  );

  test.each(['before', 'after'] as const)(
    'goes on wherever the app stopped, %s the call took effect',
    (moment) =>
      staged(async ({ server, attachments }) => {
        for (let stop = 1; ; ++stop) {
          server.calls = 0;
          server.sent.length = 0;
          server.fail = (call) => (call >= stop ? moment : undefined);
          if ((await faultOf(attachments.upload(bytesSource(CONTENT), INFO))) === 'none') break;
          const [upload] = await attachments.uploads();
          expect(upload).toMatchObject({ conversation: CONVERSATION, finished: false });
          server.fail = () => undefined;
          const { id } = upload!.descriptor;
          const descriptor = await attachments.resume(id, bytesSource(CONTENT));
          expect(descriptor).toEqual(upload!.descriptor);
          // Never two chunks under one nonce.
          const said = server.sent.map(({ index, bytes }) => `${index} ${bytes}`);
          expect(new Set(said).size).toBe(new Set(server.sent.map(({ index }) => index)).size);
          expectSame(await gathered(attachments.download(descriptor)), CONTENT);
          await attachments.remove(id);
          expect(server.kept.size).toBe(0);
          expect(await attachments.uploads()).toEqual([]);
        }
      })(),
    60_000,
  );

  test.each(['before', 'after'] as const)(
    'goes on after a crash at each of its writes, %s it was on disk',
    (moment) =>
      withFolder(async (folder) => {
        const server = new AttachmentServer();
        let finished = false;
        await (await SealedStore.create(await FileStore.open(folder), PASSPHRASE, CHEAP)).close();
        for (let at = 1; !finished; ++at) {
          const crashing = new CrashingStore(await FileStore.open(folder));
          const store = await SealedStore.unlock(crashing, PASSPHRASE);
          crashing.arm(at, moment);
          const attachments = new Attachments({ transport: server, store, backoff });
          finished = await attachments.upload(bytesSource(CONTENT), INFO).then(
            () => true,
            () => false,
          );
          await crashing.close();
          const files = await FileStore.open(folder);
          const again = await SealedStore.unlock(files, PASSPHRASE);
          const reopened = new Attachments({ transport: server, store: again, backoff });
          for (const { descriptor, finished: ready } of await reopened.uploads()) {
            const source = ready ? undefined : bytesSource(CONTENT);
            expect(await reopened.resume(descriptor.id, source)).toEqual(descriptor);
            expectSame(await gathered(reopened.download(descriptor)), CONTENT);
            await reopened.remove(descriptor.id);
          }
          expect(server.kept.size).toBe(0);
          await again.close();
        }
      }),
    60_000,
  );

  test(
    'is found again by the mark of its caller',
    staged(async ({ server, attachments }) => {
      server.fail = (call) => (call > 3 ? refusal('INTERNAL', 'INTERNAL') : undefined);
      const marked = attachments.upload(bytesSource(CONTENT), { ...INFO, mark: 'mine' });
      expect(await faultOf(marked)).toBe('INTERNAL');
      server.fail = () => undefined;
      const [upload] = await attachments.uploads();
      expect(upload).toMatchObject({ mark: 'mine', finished: false });
      await attachments.resume(upload!.descriptor.id, bytesSource(CONTENT));
      expect(await attachments.uploads()).toMatchObject([{ mark: 'mine', finished: true }]);
    }),
  );

  test(
    'sends nothing of a file that was changed meanwhile',
    staged(async ({ server, attachments }) => {
      server.fail = (call) => (call > 3 ? refusal('INTERNAL', 'INTERNAL') : undefined);
      expect(await faultOf(attachments.upload(bytesSource(CONTENT), INFO))).toBe('INTERNAL');
      const [upload] = await attachments.uploads();
      server.fail = () => undefined;
      const sent = server.sent.length;
      const { id } = upload!.descriptor;
      const changed = new Uint8Array(CONTENT.map((byte) => byte ^ 1));
      expect(await faultOf(attachments.resume(id, bytesSource(changed)))).toBe('changed');
      const longer = bytesSource(randomBytes(CONTENT.length + 1));
      expect(await faultOf(attachments.resume(id, longer))).toBe('changed');
      expect(server.sent.length).toBe(sent);
      const descriptor = await attachments.resume(id, bytesSource(CONTENT));
      expectSame(await gathered(attachments.download(descriptor)), CONTENT);
    }),
  );

  test(
    'that the server has thrown away is forgotten',
    staged(async ({ server, attachments }) => {
      for (const reason of ['REQUEST_ID_REUSED', 'NOT_FOUND', 'ATTACHMENT_DIGEST_WRONG']) {
        server.calls = 0;
        server.fail = (call) => (call === 4 ? refusal('FAILED_PRECONDITION', reason) : undefined);
        expect(await faultOf(attachments.upload(bytesSource(CONTENT), INFO))).toBe('gone');
        expect(await attachments.uploads()).toEqual([]);
      }
      expect(await faultOf(attachments.resume('attachments/none', undefined))).toBe('gone');
    }),
  );

  test(
    'for which there is no room is for a person to decide about, and stays',
    staged(async ({ server, attachments }) => {
      const full = refusal('RESOURCE_EXHAUSTED', 'ATTACHMENTS_FULL', 600_000);
      server.fail = () => full;
      expect(await faultOf(attachments.upload(bytesSource(CONTENT), INFO))).toBe('ATTACHMENTS_FULL');
      expect(server.calls).toBe(1);
      expect(await attachments.uploads()).toHaveLength(1);
    }),
  );

  test(
    'ends with the signal, and goes on later',
    staged(async ({ attachments }) => {
      const stopping = new AbortController();
      const onProgress = (done: number) => done === 2 && stopping.abort();
      const upload = attachments.upload(bytesSource(CONTENT), INFO, {
        signal: stopping.signal,
        onProgress,
      });
      expect(await faultOf(upload)).toBe('CANCELLED');
      const [kept] = await attachments.uploads();
      await attachments.resume(kept!.descriptor.id, bytesSource(CONTENT));
    }),
  );
});

describe('a download', () => {
  const CONTENT = randomBytes(3 * PLAIN_CHUNK_BYTES + 9);
  const uploaded = (step: (stage: Stage, descriptor: AttachmentDescriptor) => Promise<void>) =>
    staged(async (stage) => {
      await step(stage, await stage.attachments.upload(bytesSource(CONTENT), INFO));
    });

  test(
    'goes on by itself when calls fail',
    uploaded(async ({ server, attachments }, descriptor) => {
      server.fail = (call) => (call % 3 !== 0 ? 'before' : undefined);
      expectSame(await gathered(attachments.download(descriptor)), CONTENT);
    }),
  );

  test(
    'goes on where it stopped, and checks what was kept',
    uploaded(async ({ server, attachments }, descriptor) => {
      for (const chunks of [0, 1, 2, 3]) {
        const kept = CONTENT.subarray(0, chunks * PLAIN_CHUNK_BYTES);
        server.calls = 0;
        const rest = await gathered(attachments.download(descriptor, { have: bytesSource(kept) }));
        expectSame(Buffer.concat([kept, rest]), CONTENT);
        expect(server.calls).toBe(4 - chunks);
        if (chunks === 0) continue;
        const changed = new Uint8Array(kept);
        changed[7]! ^= 1;
        const bad = attachments.download(descriptor, { have: bytesSource(changed) });
        expect(await faultOf(gathered(bad))).toBe('damaged');
      }
    }),
  );

  test(
    'of which all was kept is checked without a call',
    staged(async ({ server, attachments }) => {
      const content = randomBytes(2 * PLAIN_CHUNK_BYTES);
      const descriptor = await attachments.upload(bytesSource(content), INFO);
      server.calls = 0;
      const all = attachments.download(descriptor, { have: bytesSource(content) });
      expect(await gathered(all)).toEqual(Buffer.alloc(0));
      content[0]! ^= 1;
      const bad = attachments.download(descriptor, { have: bytesSource(content) });
      expect(await faultOf(gathered(bad))).toBe('damaged');
      expect(server.calls).toBe(0);
    }),
  );

  test(
    'gives nothing that was not sent',
    uploaded(async ({ server, attachments }, descriptor) => {
      const there = new Map(server.kept.get(descriptor.id)!.chunks);
      const forgeries: ((index: number, bytes: Uint8Array) => Uint8Array)[] = [
        (_, bytes) => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte)),
        (_, bytes) => bytes.slice(1),
        () => new Uint8Array(),
        (index) => there.get((index + 1) % 4)!,
        (index) => there.get(Math.min(index, 2))!,
      ];
      for (const forge of forgeries) {
        server.forge = forge;
        expect(await faultOf(gathered(attachments.download(descriptor)))).toBe('damaged');
      }
      server.forge = (_, bytes) => bytes;
      const other = await attachments.upload(bytesSource(CONTENT), INFO);
      for (const changed of [
        { key: other.key },
        { id: other.id },
        { digest: other.digest },
        { size: descriptor.size - 1 },
        { size: descriptor.size - 9 },
        { size: PLAIN_CHUNK_BYTES },
      ]) {
        const download = attachments.download({ ...descriptor, ...changed });
        expect(await faultOf(gathered(download))).toBe('damaged');
      }
    }),
  );

  test(
    'of what is gone says so',
    uploaded(async ({ attachments }, descriptor) => {
      await attachments.remove(descriptor.id);
      await attachments.remove(descriptor.id);
      expect(await faultOf(gathered(attachments.download(descriptor)))).toBe('NOT_FOUND');
    }),
  );
});

describe('a descriptor', () => {
  const good: AttachmentDescriptor = {
    id: `attachments/${'0'.repeat(32)}`,
    key: 'a'.repeat(64),
    digest: 'b'.repeat(64),
    size: 5,
    name: 'naïve 🙂.pdf',
    mediaType: 'application/pdf',
  };

  test('goes inside a message', () => {
    const content = { id: '1'.repeat(32), text: 'look', attachments: [good] };
    expect(decodeContent(encodeContent(content))).toEqual(content);
    const none = { id: '1'.repeat(32), text: 'look' };
    expect(decodeContent(encodeContent({ ...none, attachments: [] }))).toEqual(none);
  });

  const bad: [string, unknown][] = [
    ['nothing', null],
    ['a text', 'attachments/'],
    ['no id', { ...good, id: undefined }],
    ['an id of something else', { ...good, id: `members/${'0'.repeat(32)}` }],
    ['a long id', { ...good, id: `${good.id}0` }],
    ['a short key', { ...good, key: 'a'.repeat(62) }],
    ['a key of other digits', { ...good, key: 'A'.repeat(64) }],
    ['a digest that is none', { ...good, digest: 5 }],
    ['a negative size', { ...good, size: -1 }],
    ['half a byte', { ...good, size: 0.5 }],
    ['a size beyond any', { ...good, size: MAX_FILE_BYTES + 1 }],
    ['a size that is none', { ...good, size: '5' }],
    ['a path', { ...good, name: '../../.bashrc' }],
    ['a name of no length', { ...good, name: '' }],
    ['a name that shows otherwise', { ...good, name: 'a\u202egpj.exe' }],
    ['a name too long', { ...good, name: 'é'.repeat(128) }],
    ['no media type', { ...good, mediaType: '' }],
    ['a media type with a line break', { ...good, mediaType: 'text/html\r\nx: y' }],
  ];
  test.each(bad)('is refused: %s', (_, read) => {
    expect(readDescriptor(read)).toBe(undefined);
    const content = { v: 1, id: 'a', text: 'b', attachments: [read] };
    expect(decodeContent(utf8(JSON.stringify(content)))).toBe(undefined);
  });

  test('keeps nothing else of what somebody sent', () => {
    expect(readDescriptor({ ...good, script: 'x' })).toEqual(good);
    expect(readDescriptors(Array.from({ length: 8 }, () => good))).toHaveLength(8);
    expect(readDescriptors(Array.from({ length: 9 }, () => good))).toBe(undefined);
    expect(readDescriptors({ 0: good })).toBe(undefined);
  });
});
