// Files on this machine, before they are sent and after they came.
import { randomBytes } from 'node:crypto';
import {
  chmod,
  link,
  mkdir,
  readFile,
  readdir,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { PLAIN_CHUNK_BYTES } from '../src/attachments/chunks.ts';
import type { Setting } from '../src/chat/chat.ts';
import { parseCommandLine } from '../src/chat/command_line.ts';
import type { CommandLine } from '../src/chat/command_line.ts';
import { EXIT, Fault } from '../src/chat/faults.ts';
import { Output } from '../src/chat/output.ts';
import { Part, fetchWhole, safeName, theFile } from '../src/chat/save.ts';
import type { Received } from '../src/chat/save.ts';
import { Uploads, localFile, typedPath } from '../src/chat/uploads.ts';
import {
  Attachments,
  HandrailError,
  MAX_FILE_BYTES,
  SealedStore,
  bytesSource,
} from '../src/index.ts';
import type { AttachmentDescriptor } from '../src/index.ts';
import { FileStore } from '../src/node.ts';
import { AttachmentServer, refusal } from './support/attachment_server.ts';
import { withFolder } from './support/folders.ts';

function descriptor(begin: string, name: string, key = 'a'): AttachmentDescriptor {
  const id = `attachments/${begin.padEnd(32, '0')}`;
  return { id, key: key.repeat(64), digest: 'd'.repeat(64), size: 5, name, mediaType: 'a/b' };
}

const came = (...files: AttachmentDescriptor[]): Received[] =>
  files.map((file) => ({ conversation: `conversations/${'c'.repeat(32)}`, file }));

async function refused(step: Promise<unknown> | (() => unknown)): Promise<Fault> {
  try {
    await (typeof step === 'function' ? step() : step);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('a file to send', () => {
  test('has a name, a size and an end, and can be read', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'a photo.jpg');
      await writeFile(path, 'bytes');
      expect(await localFile(path)).toEqual({ path, name: 'a photo.jpg', size: 5 });
      await symlink(path, join(folder, 'link.jpg'));
      expect(await localFile(join(folder, 'link.jpg'))).toMatchObject({ name: 'link.jpg' });
      await truncate(path, MAX_FILE_BYTES);
      expect(await localFile(path)).toMatchObject({ size: MAX_FILE_BYTES });
      await truncate(path, MAX_FILE_BYTES + 1);
      const cases: readonly (readonly [string, string])[] = [
        [path, 'too large: 10,483,200 bytes'],
        [join(folder, 'none'), 'is not there'],
        [join(folder, 'none/none'), 'is not there'],
        [`${path}/none`, 'cannot be read (ENOTDIR)'],
        [folder, 'is a folder'],
        ['/dev/null', 'no file that has an end'],
      ];
      for (const [bad, words] of cases) {
        const fault = await refused(localFile(bad));
        expect(fault.message, bad).toContain(words);
        expect(fault.exit, bad).toBe(EXIT.usage);
      }
    }));

  test('has a name that shows as it is', () =>
    withFolder(async (folder) => {
      for (const name of ['a\u001b[2Jb', 'a\nb', 'a\u202egpj.exe', 'a\\b', 'a\u200bb']) {
        await writeFile(join(folder, name), '');
        const { message, exit } = await refused(localFile(join(folder, name)));
        expect(message).toContain('signs in it that do not show');
        expect(message).not.toMatch(/\u001b|\u202e/);
        expect(exit).toBe(EXIT.usage);
      }
    }));

  test('is named as people type it', () => {
    expect(typedPath('~/a photo.jpg', '/home/ann')).toBe('/home/ann/a photo.jpg');
    expect(typedPath("'/a photo.jpg'", '/home/ann')).toBe('/a photo.jpg');
    expect(typedPath('/a\\ photo\\\\.jpg', '/home/ann')).toBe('/a photo\\.jpg');
    expect(typedPath('"it\'s"', '/home/ann')).toBe("it's");
  });
});

describe('the file that is meant', () => {
  const photo = descriptor('5e6f7a8b', 'photo.jpg');
  const other = descriptor('5e6f9999', 'photo.jpg');
  const letter = descriptor('0123abcd', 'Grüße'.normalize('NFC'));

  test('is found by the beginning of its id and by its name', () => {
    const all = came(photo, other, letter);
    expect(theFile(all, '5e6f7').file).toBe(photo);
    expect(theFile(all, '5E6F9').file).toBe(other);
    expect(theFile(all, letter.id).file).toBe(letter);
    expect(theFile(all, 'Grüße'.normalize('NFD')).file).toBe(letter);
  });

  test('is not guessed', async () => {
    const all = came(photo, other, letter);
    for (const what of ['5e6f', 'photo.jpg']) {
      const fault = await refused(() => theFile(all, what));
      expect(fault.exit).toBe(EXIT.usage);
      expect(fault.todo).toContain('save cccccccc 5e6f7a8b   5 bytes: photo.jpg');
      expect(fault.todo).toContain('save cccccccc 5e6f9999');
    }
    for (const what of ['5e6', 'photo', '', 'ffff', 'attachments/']) {
      expect(await refused(() => theFile(all, what)), what).toMatchObject({
        exit: EXIT.failed,
        reason: 'NO_FILE',
      });
    }
  });

  test('is not another one that was called like its id', async () => {
    const id = photo.id.slice('attachments/'.length);
    const [long, brief] = [descriptor('77', id), descriptor('88', '5e6f7a8b')];
    const all = came(photo, long, brief);
    expect(theFile(all, id).file).toBe(photo);
    expect((await refused(() => theFile(all, '5e6f7a8b'))).message).toContain('several files');
    const twin = { ...photo, key: 'b'.repeat(64), name: 'another.jpg' };
    expect((await refused(() => theFile(came(photo, twin), id))).message).toContain('several');
    expect(theFile(came(photo, twin), 'photo.jpg').file).toBe(photo);
  });
});

test('a name is neither hidden, nor an option, nor too long for a folder', () => {
  expect(safeName('photo.jpg')).toBe('photo.jpg');
  expect(safeName('.bashrc')).toBe('file.bashrc');
  expect(safeName('-rf')).toBe('file-rf');
  expect(safeName('~')).toBe('file~');
  const long = safeName(`.${'ü'.repeat(125)}.jpg`);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255);
  expect(long).toMatch(/^file.*\.jpg$/);
});

describe('the part of a file that has come', () => {
  const file = descriptor('5e6f7a8b', 'a.txt');
  const name = `.handrail-${'5e6f7a8b'.padEnd(32, '0')}.part`;
  const bytes = new TextEncoder().encode('hello');

  test('takes its name when it is whole, and nobody else’s place', () =>
    withFolder(async (folder) => {
      const target = join(folder, 'a.txt');
      const first = await Part.open(folder, file);
      await first.write(bytes.subarray(0, 2), 0);
      await first.close();
      expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
      await chmod(join(folder, name), 0o644);

      const part = await Part.open(folder, file);
      expect((await part.source()).size).toBe(2);
      await part.write(bytes.subarray(2), 2);
      await writeFile(target, 'mine');
      expect((await refused(part.becomes(target, false))).message).toContain('is there already');
      expect(await readFile(target, 'utf8')).toBe('mine');
      await part.becomes(target, true);
      await part.close();
      expect(await readFile(target, 'utf8')).toBe('hello');
      expect((await stat(target)).mode & 0o777).toBe(0o600);
      expect(await readdir(folder)).toEqual(['a.txt']);
    }));

  test('is as long as the file, whatever was there', () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, name), 'much more than that');
      const part = await Part.open(folder, file);
      expect((await part.source()).size).toBe(5);
      await part.write(bytes, 0);
      await part.becomes(join(folder, 'b'), false);
      await part.close();
      expect(await readFile(join(folder, 'b'), 'utf8')).toBe('hello');
    }));

  test('is nothing that another name leads to', () =>
    withFolder(async (folder) => {
      const mine = join(folder, 'mine');
      await writeFile(mine, 'mine');
      await symlink(mine, join(folder, name));
      const fault = await refused(Part.open(folder, file));
      expect(fault).toMatchObject({ exit: EXIT.failed, reason: 'UNWRITABLE' });

      const other = join(folder, 'other');
      await mkdir(other);
      await link(mine, join(other, name));
      const part = await Part.open(other, file);
      await part.write(bytes, 0);
      await part.close();
      expect(await readFile(mine, 'utf8')).toBe('mine');
      expect((await refused(Part.open(join(folder, 'none'), file))).message).toContain('ENOENT');
    }));
});

/** A store, a server in memory, and what a command says. */
interface Stage {
  readonly folder: string;
  readonly server: AttachmentServer;
  readonly attachments: Attachments;
  readonly setting: Setting;
  readonly stopping: AbortController;
  /** All that was said, as with --json. */
  readonly said: () => string;
}

const CONVERSATION = `conversations/${'c'.repeat(32)}`;

const staged = (step: (stage: Stage) => Promise<void>) => () =>
  withFolder(async (folder) => {
    const stateFolder = join(folder, 'state');
    await mkdir(stateFolder);
    const cost = { memoryKib: 64, passes: 1 };
    const store = await SealedStore.create(await FileStore.open(stateFolder), 'a passphrase', {
      cost,
    });
    const server = new AttachmentServer();
    const backoff = { firstMs: 1, capMs: 1 };
    const attachments = new Attachments({ transport: server, store, backoff });
    const out: string[] = [];
    const sink = { write: (text: string) => out.push(text) };
    const line = parseCommandLine(['send', '--wait', '0', '--json'], {}) as CommandLine;
    const stopping = new AbortController();
    const { signal } = stopping;
    const setting = { line, output: new Output(true, sink, sink), environment: {}, signal };
    const said = () => out.join('');
    await step({ folder, server, attachments, setting, stopping, said });
    await store.close();
  });

const down = (from: number) => (call: number) =>
  call >= from ? new HandrailError({ code: 'INTERNAL', message: 'x' }) : undefined;

describe('what is uploaded', () => {
  const DAY_MS = 24 * 60 * 60 * 1000;
  const ids = (kept: AttachmentServer) => [...kept.kept.keys()];

  /** Two files, and the uploads of a message with both. */
  const uploading = (
    step: (stage: Stage & { upload: (id: string) => Promise<string[]> }) => Promise<void>,
  ) =>
    staged(async (stage) => {
      const paths = ['a.txt', 'b.bin'].map((name) => join(stage.folder, name));
      await writeFile(paths[0]!, 'hello');
      await writeFile(paths[1]!, randomBytes(5 * PLAIN_CHUNK_BYTES));
      const upload = async (id: string) => {
        const files = await Promise.all(paths.map(localFile));
        const all = await new Uploads(stage, CONVERSATION, id, 'Again.').all(files);
        expect(all.map(({ name }) => name)).toEqual(['a.txt', 'b.bin']);
        expect(all.map(({ mediaType }) => mediaType)).toEqual([
          'text/plain',
          'application/octet-stream',
        ]);
        return all.map(({ id: one }) => one);
      };
      await step({ ...stage, upload });
    });
  const [mine, other] = ['a'.repeat(32), 'b'.repeat(32)];

  test(
    'is not uploaded again under the same id, wherever it stopped',
    uploading(async ({ server, attachments, upload }) => {
      // Before the first, after it, and in the middle of the second.
      for (const [i, stop] of [1, 2, 4, 6].entries()) {
        const id = String(i).repeat(32);
        const before = ids(server).length;
        server.calls = 0;
        server.fail = down(stop);
        expect(await refused(upload(id))).toMatchObject({ exit: EXIT.failed });
        server.fail = () => undefined;
        const first = await upload(id);
        expect(await upload(id)).toEqual(first);
        expect(ids(server).length).toBe(before + 2);
        expect(await attachments.uploads()).toHaveLength(before + 2);
      }
      expect(await upload(other!)).not.toEqual(await upload(mine!));
    }),
  );

  test(
    'is the file as it is now, as long as nothing was said',
    uploading(async ({ folder, server, attachments, setting, upload }) => {
      const path = join(folder, 'b.bin');
      for (const size of [5 * PLAIN_CHUNK_BYTES, 4 * PLAIN_CHUNK_BYTES]) {
        server.calls = 0;
        server.fail = down(8);
        await refused(upload(mine!));
        server.fail = () => undefined;
        const content = randomBytes(size);
        await writeFile(path, content);
        await upload(mine!);
        const all = await attachments.uploads();
        const second = all.find(({ descriptor }) => descriptor.name === 'b.bin');
        const pieces: Uint8Array[] = [];
        for await (const piece of attachments.download(second!.descriptor)) pieces.push(piece);
        expect(Buffer.compare(Buffer.concat(pieces), content)).toBe(0);
        expect(ids(server)).toHaveLength(2);
        await new Uploads({ attachments, setting }, CONVERSATION, mine!, '').forgetMine();
        expect(ids(server)).toEqual([]);
      }
    }),
  );

  test(
    'and was never said is taken back after a day, and what others keep is not',
    uploading(async ({ server, attachments, upload, said }) => {
      const mark = `${other} 0 ${Date.now() - DAY_MS - 1000}`;
      const info = { conversation: CONVERSATION, name: 'old' };
      const old = await attachments.upload(bytesSource(new Uint8Array(3)), { ...info, mark });
      const theirs = await attachments.upload(bytesSource(new Uint8Array(3)), info);
      const all = await upload(mine!);
      expect(ids(server)).toEqual([theirs.id, ...all]);
      expect(ids(server)).not.toContain(old.id);
      expect(said().match(/"event":"uploaded"/g)).toHaveLength(2);
      expect(said()).not.toContain('"key"');
    }),
  );

  test(
    'stops with the signal, and says how to go on',
    uploading(async ({ stopping, upload }) => {
      stopping.abort();
      expect(await refused(upload(mine!))).toMatchObject({
        exit: EXIT.interrupted,
        message: 'Stopped; nothing was said yet.',
        todo: 'Again.',
      });
    }),
  );

  test(
    'waits for its turn or for room, and says that nothing was said',
    uploading(async ({ server, upload }) => {
      const refusals = [
        [refusal('UNAVAILABLE', 'DRAINING'), 'DRAINING'],
        [refusal('FAILED_PRECONDITION', 'DEVICE_NOT_IN_GROUP'), 'NOT_IN_GROUP'],
        [refusal('RESOURCE_EXHAUSTED', 'ATTACHMENTS_FULL', 600_000), 'ATTACHMENTS_FULL'],
      ] as const;
      for (const [error, reason] of refusals) {
        server.fail = () => error;
        const fault = await refused(upload(mine!));
        expect(fault).toMatchObject({ exit: EXIT.later, reason });
        expect(fault.todo).toContain('Nothing was said yet. Again.');
      }
    }),
  );
});

describe('what is fetched', () => {
  const content = randomBytes(3 * PLAIN_CHUNK_BYTES + 7);

  interface Fetching extends Stage {
    readonly file: AttachmentDescriptor;
    readonly fetch: () => Promise<void>;
    /** What lies in the folder. */
    readonly names: () => Promise<string[]>;
  }

  /** A file at the server, and a folder for it. */
  const fetching = (step: (stage: Fetching) => Promise<void>) =>
    staged(async (stage) => {
      const { folder, attachments, setting } = stage;
      const info = { conversation: CONVERSATION, name: 'a.bin' };
      const file = await attachments.upload(bytesSource(content), info);
      const fetch = async () => {
        const part = await Part.open(folder, file);
        try {
          await fetchWhole(setting, attachments, file, part);
          await part.becomes(join(folder, 'a.bin'), true);
        } finally {
          await part.close();
        }
      };
      const names = async () => (await readdir(folder)).filter((name) => name !== 'state');
      await step({ ...stage, file, fetch, names });
    });

  const arrived = async (folder: string) =>
    Buffer.compare(await readFile(join(folder, 'a.bin')), content) === 0;

  test(
    'goes on where it stopped, at every call',
    fetching(async ({ folder, server, fetch, names, said }) => {
      for (let stop = 1; stop <= 4; ++stop) {
        server.calls = 0;
        server.fail = down(stop);
        expect(await refused(fetch())).toMatchObject({ exit: EXIT.failed });
        expect(await names()).toContainEqual(expect.stringMatching(/^\.handrail-.*\.part$/));
        server.fail = () => undefined;
        server.calls = 0;
        await fetch();
        expect(server.calls).toBe(4 - (stop - 1));
        expect(await arrived(folder)).toBe(true);
        expect(await names()).toEqual(['a.bin']);
      }
      expect(said()).toContain(`"way":"download","name":"a.bin","bytes":${content.length},`);
    }),
  );

  test(
    'is whole also after a crash that left nonsense behind',
    fetching(async ({ folder, file, fetch, names }) => {
      const path = join(folder, `.handrail-${file.id.slice('attachments/'.length)}.part`);
      for (const size of [10, PLAIN_CHUNK_BYTES + 1, content.length, content.length + 100_000]) {
        await writeFile(path, randomBytes(size));
        await fetch();
        expect(await arrived(folder)).toBe(true);
        expect(await names()).toEqual(['a.bin']);
      }
    }),
  );

  test(
    'is nothing when the server has something else, or nothing any more',
    fetching(async ({ server, file, fetch, names }) => {
      server.forge = (index, bytes) => (index === 2 ? bytes.map((byte) => byte ^ 1) : bytes);
      expect(await refused(fetch())).toMatchObject({ exit: EXIT.failed, reason: 'DAMAGED' });
      expect(await names()).toEqual([]);
      server.kept.delete(file.id);
      const gone = await refused(fetch());
      expect(gone).toMatchObject({ exit: EXIT.failed, reason: 'NOT_FOUND' });
      expect(gone.todo).toContain('30 days');
      expect(await names()).toEqual([]);
    }),
  );

  test(
    'is kept when the server is away, or somebody stops it',
    fetching(async ({ server, fetch, names, stopping }) => {
      server.fail = (call) => (call > 8 ? 'before' : undefined);
      const away = await refused(fetch());
      expect(away).toMatchObject({ exit: EXIT.later });
      expect(away.todo).toContain('run the same again');
      expect(await names()).toHaveLength(1);
      stopping.abort();
      expect(await refused(fetch())).toMatchObject({ exit: EXIT.interrupted });
      expect(await names()).toHaveLength(1);
    }),
  );
});
