// Files that came with messages, to keep them on this machine.
import { constants } from 'node:fs';
import { link, lstat, open, rename, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { AttachmentError } from '../attachments/attachments.ts';
import type { Attachments, TransferOptions } from '../attachments/attachments.ts';
import { PLAIN_CHUNK_BYTES, chunkCount } from '../attachments/chunks.ts';
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { handleSource } from '../attachments/file_source.ts';
import { HandrailError } from '../transport/errors.ts';
import { Chat, onlyOne } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, Interrupted, faultOf, usageFault } from './faults.ts';
import { fileEvent, sizeWord } from './file_words.ts';
import { attachmentsOf } from './history.ts';
import { plainText } from './output.ts';
import { laterFault, persistently } from './transfer.ts';
import { short } from './words.ts';

/** A file as it came with a message. */
export interface Received {
  readonly conversation: string;
  readonly file: AttachmentDescriptor;
}

/** Saves one file that came, under its name or as it is told. */
export async function save(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  try {
    const { conversation, file } = theFile(await filesThatCame(chat), line.file ?? '');
    const target = await targetOf(line.to, file.name);
    if (!line.force) await mustBeFree(target);
    const part = await Part.open(dirname(target), file);
    try {
      await fetchWhole(setting, chat.attachments, file, part);
      await part.becomes(target, line.force);
    } finally {
      await part.close();
    }
    const event = { event: 'saved', conversation, path: target, file: fileEvent(file) };
    output.tell(event, `${plainText(target)} is saved (${sizeWord(file.size)}).`);
  } finally {
    await chat.close();
  }
}

/** All files that are named in the conversation, or in all of them. Asks no server. */
async function filesThatCame(chat: Chat): Promise<Received[]> {
  const { what } = chat.setting.line;
  let conversations = await chat.namesHere(false);
  if (what !== undefined) {
    const begin = `conversations/${what.replace(/^conversations\//, '')}`;
    conversations = [onlyOne(conversations.filter((name) => name.startsWith(begin)), what)];
  }
  const all = new Map<string, Received>();
  for (const conversation of conversations) {
    for (const line of await chat.history.after(conversation, 0)) {
      if (line.kind === 'refused') continue;
      for (const file of attachmentsOf(line)) {
        // The same may come twice. With another key under the same id it is another file.
        all.set(file.id + file.key, { conversation, file });
      }
    }
  }
  return [...all.values()];
}

/** The file that is meant: by its id, by the beginning of it, or by its name. */
export function theFile(all: readonly Received[], what: string): Received {
  const id = what.replace(/^attachments\//, '').toLowerCase();
  const isId = /^[0-9a-f]{4,32}$/.test(id);
  const whole = all.filter(({ file }) => file.id === `attachments/${id}`);
  const either = all.filter(
    ({ file }) =>
      (isId && file.id.startsWith(`attachments/${id}`)) ||
      file.name.normalize() === what.normalize(),
  );
  // So that no name that somebody gave a file stands in the way.
  const found = whole.length > 0 ? whole : either;
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const shown = plainText(what);
  if (first === undefined) {
    const todo =
      'handrail-chat read --all shows the files; take the first letters of the id, four or more, ' +
      'or the whole name.';
    throw new Fault(EXIT.failed, `No file here is called ${shown}.`, todo, 'NO_FILE');
  }
  const list = found.map(
    ({ conversation, file }) =>
      `\n  handrail-chat save ${short(conversation)} ${short(file.id)}   ` +
      `${sizeWord(file.size)}: ${plainText(file.name)}`,
  );
  throw usageFault(`There are several files for ${shown}. Which one?`, `One of:${list.join('')}`);
}

const MAX_NAME_BYTES = 255;

/**
 * Under what a file is saved that its sender called so: without a path, as every descriptor's name,
 * and not hidden, nor an option of the next command that is given a `*`.
 */
export function safeName(name: string): string {
  const shown = /^[.\-~]/.test(name) ? `file${name}` : name;
  if (Buffer.byteLength(shown) <= MAX_NAME_BYTES) return shown;
  // As long as it was without what was put before it.
  return `file${[...name].slice(4).join('')}`;
}

/** In this folder, in the one that was named, or as it was told. */
async function targetOf(to: string | undefined, name: string): Promise<string> {
  if (to === undefined) return safeName(name);
  const folder = await stat(to).then(
    (about) => about.isDirectory(),
    () => false,
  );
  if (folder) return join(to, safeName(name));
  if (!to.endsWith('/')) return to;
  throw usageFault(`There is no folder ${plainText(to)}.`, 'Make it: mkdir; or name another.');
}

const taken = (target: string) =>
  new Fault(
    EXIT.usage,
    `${plainText(target)} is there already.`,
    'Name another file with --to PATH, or put it in its place with --force.',
    'USAGE',
  );

async function mustBeFree(target: string): Promise<void> {
  const there = await lstat(target).then(
    () => true,
    () => false,
  );
  if (there) throw taken(target);
}

const unwritable = (path: string, { code = '' }: NodeJS.ErrnoException) =>
  new Fault(
    EXIT.failed,
    `${plainText(path)} cannot be written (${code}).`,
    code === 'ENOSPC' ? 'Make room on the disk.' : 'Name another place with --to PATH.',
    'UNWRITABLE',
  );

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/**
 * What is there of a file that comes: beside where it will be, under a name that nobody chose, so
 * that the same command goes on with it. Any number of programs may write it: all write the same.
 */
export class Part {
  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly file: AttachmentDescriptor,
  ) {}

  /** In a folder where others may write, too. Fault where it cannot be. */
  static async open(folder: string, file: AttachmentDescriptor): Promise<Part> {
    const path = join(folder, `.handrail-${file.id.slice('attachments/'.length)}.part`);
    try {
      const handle = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
      const { uid, nlink } = await handle.stat();
      if (uid === process.getuid?.()) {
        if (nlink === 1) return new Part(path, handle, file);
        // Another name of a file that is whole, from a crash; or of one that is none of ours.
        await handle.close();
        await unlink(path);
        return new Part(path, await open(path, O_RDWR | O_CREAT | O_EXCL, 0o600), file);
      }
      await handle.close();
    } catch (error) {
      throw unwritable(path, error as NodeJS.ErrnoException);
    }
    const todo = 'Save it somewhere else with --to PATH.';
    throw new Fault(EXIT.failed, `${plainText(path)} is somebody else’s.`, todo, 'UNWRITABLE');
  }

  /** What is there, as far as it can be of this file. */
  async source() {
    const { size } = await this.handle.stat();
    return handleSource(this.handle, Math.min(size, this.file.size));
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.handle.write(bytes, at, null, offset + at);
        at += bytesWritten;
      }
    } catch (error) {
      throw unwritable(this.path, error as NodeJS.ErrnoException);
    }
  }

  /** Begins anew. */
  async empty(): Promise<void> {
    await this.handle.truncate(0);
  }

  /** It is whole: from now on it has its name, and all of it is on the disk before. */
  async becomes(target: string, overwrite: boolean): Promise<void> {
    try {
      await this.handle.truncate(this.file.size);
      await this.handle.chmod(0o600);
      await this.handle.sync();
      if (overwrite) return await rename(this.path, target);
      // Unlike rename it takes nobody's place.
      await link(this.path, target);
      await unlink(this.path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw code === 'EEXIST' ? taken(target) : unwritable(target, error as NodeJS.ErrnoException);
    }
  }

  /** Nothing will ever come of it. */
  async discard(): Promise<void> {
    await unlink(this.path).catch(() => {});
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Fetches what is missing. Once it returns, every byte is what was sent. Fault. */
export async function fetchWhole(
  setting: Setting,
  attachments: Attachments,
  file: AttachmentDescriptor,
  part: Part,
): Promise<void> {
  const { name, size } = file;
  const fetchRest = async (options: TransferOptions) => {
    const have = await part.source();
    const chunks = Math.floor(have.size / PLAIN_CHUNK_BYTES);
    options.onProgress?.(chunks, chunkCount(size));
    let offset = chunks * PLAIN_CHUNK_BYTES;
    for await (const bytes of attachments.download(file, { ...options, have })) {
      await part.write(bytes, offset);
      offset += bytes.length;
    }
  };
  const fetchAll = async (options: TransferOptions) => {
    try {
      await fetchRest(options);
    } catch (error) {
      // What a crash left behind may be what is wrong.
      if (!(error instanceof AttachmentError)) throw error;
      await part.empty();
      await fetchRest(options);
    }
  };
  try {
    await persistently(setting, { way: 'download', name, size }, fetchAll);
  } catch (error) {
    if (setting.signal.aborted) {
      throw new Interrupted('Stopped.', 'Run the same again to go on where it stopped.');
    }
    const fault = downloadFault(error);
    if (fault.reason in GONE || fault.reason === 'DAMAGED') await part.discard();
    throw fault;
  }
}

const GONE: Readonly<Record<string, readonly [string, string]>> = {
  NOT_FOUND: [
    'This file is not at the server any more.',
    'They go after 30 days, or when who sent them takes them back. Ask them to send it again.',
  ],
  CONVERSATION_CLOSED: [
    'The conversation is closed; with its end the server erased its files.',
    'Ask them for it in another way.',
  ],
};

function downloadFault(error: unknown): Fault {
  const reason = error instanceof HandrailError ? error.reason : '';
  const gone = GONE[reason];
  if (gone !== undefined) return new Fault(EXIT.failed, ...gone, reason);
  return laterFault(
    faultOf(error),
    'What came of the file is kept: run the same again to go on where it stopped.',
  );
}
