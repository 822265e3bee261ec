// Files that go with a message of this device.
import { access, constants, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { AttachmentError } from '../attachments/attachments.ts';
import type { TransferOptions, Upload } from '../attachments/attachments.ts';
import { MAX_FILE_BYTES } from '../attachments/chunks.ts';
import { isFileName } from '../attachments/descriptor.ts';
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { fileSource } from '../attachments/file_source.ts';
import type { Chat } from './chat.ts';
import { Fault, Interrupted, faultOf, usageFault } from './faults.ts';
import { fileEvent, mediaTypeOf, sizeWord } from './file_words.ts';
import { plainText } from './output.ts';
import { laterFault, persistently } from './transfer.ts';

/** What the server does with uploads that are not finished after that. */
const FORGOTTEN_MS = 24 * 60 * 60 * 1000;

/** A file of this machine that can be sent. */
export interface LocalFile {
  readonly path: string;
  readonly name: string;
  readonly size: number;
}

/** Looks at a file before anything is sent. Fault with EXIT.usage for what can be no attachment. */
export async function localFile(path: string): Promise<LocalFile> {
  const shown = plainText(path);
  const about = await stat(path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'is not there' : `cannot be read (${error.code})`;
    throw usageFault(`The file ${shown} ${why}.`, 'Check its name, and where you are.');
  });
  if (about.isDirectory()) {
    throw usageFault(`${shown} is a folder.`, 'Send the files in it, or pack it: tar, zip.');
  }
  if (!about.isFile()) throw usageFault(`${shown} is no file that has an end.`, 'Copy it first.');
  const name = basename(path);
  if (!isFileName(name)) {
    const what = `The name of ${shown} has signs in it that do not show, or is too long.`;
    throw usageFault(what, 'Send a copy that has a plain name.');
  }
  if (about.size > MAX_FILE_BYTES) {
    const { exit, message, todo, reason } = faultOf(new AttachmentError('too-large', ''));
    throw new Fault(exit, `${shown}: ${message} It has ${sizeWord(about.size)}.`, todo, reason);
  }
  await access(path, constants.R_OK).catch((error: NodeJS.ErrnoException) => {
    throw usageFault(`The file ${shown} cannot be read (${error.code}).`, 'Check who may read it.');
  });
  return { path, name, size: about.size };
}

/** A path as somebody types it or drops it on a terminal, where no shell has looked at it. */
export function typedPath(typed: string, home: string): string {
  const quoted = /^(['"])(.*)\1$/.exec(typed);
  if (quoted !== null) return quoted[2]!;
  const plain = typed.replace(/\\(.)/g, '$1');
  return plain.startsWith('~/') ? join(home, plain.slice(2)) : plain;
}

/** By what the upload of a message's file is found again: whose it is, which one, since when. */
const markOf = (message: string, index: number) => `${message} ${index} ${Date.now()}`;

/** Uploads the files of one message that was not said yet. */
export class Uploads {
  constructor(
    private readonly chat: Pick<Chat, 'attachments' | 'setting'>,
    private readonly conversation: string,
    /** Its id. */
    private readonly message: string,
    /** What to do to go on, when it stops. */
    private readonly again: string,
    private readonly setting = chat.setting,
  ) {}

  /**
   * All of them, in order; what was uploaded before under the same id is not uploaded again. Fault,
   * after which the same may be done again.
   */
  async all(files: readonly LocalFile[]): Promise<AttachmentDescriptor[]> {
    const { setting, message } = this;
    const descriptors: AttachmentDescriptor[] = [];
    for (const [index, file] of files.entries()) {
      const going = { way: 'upload', name: file.name, size: file.size } as const;
      try {
        const step = (options: TransferOptions) => this.one(file, index, options);
        descriptors.push(await persistently(setting, going, step));
      } catch (error) {
        throw this.stopped(error);
      }
      const told = { event: 'uploaded', conversation: this.conversation, message };
      setting.output.tell({ ...told, file: fileEvent(descriptors.at(-1)!) }, '');
    }
    await this.forget((upload) => isOld(upload));
    return descriptors;
  }

  /** What another run of the same command uploaded and is in no message. */
  async forgetMine(): Promise<void> {
    await this.forget(({ mark }) => mark?.startsWith(`${this.message} `) ?? false);
  }

  private async one(
    file: LocalFile,
    index: number,
    options: TransferOptions,
  ): Promise<AttachmentDescriptor> {
    const { attachments } = this.chat;
    const source = await fileSource(file.path);
    try {
      const kept = await this.kept(index);
      if (kept !== undefined) {
        const { id, name, size } = kept.descriptor;
        try {
          if (name === file.name && size === file.size) {
            return await attachments.resume(id, source, options);
          }
        } catch (error) {
          // Nobody has heard of it: what is sent is the file as it is now.
          if (!(error instanceof AttachmentError)) throw error;
        }
        await attachments.remove(id, options);
      }
      const { conversation, message } = this;
      const mark = markOf(message, index);
      const info = { conversation, name: file.name, mediaType: mediaTypeOf(file.name), mark };
      return await attachments.upload(source, info, options);
    } finally {
      await source.close();
    }
  }

  private async kept(index: number): Promise<Upload | undefined> {
    const begin = `${this.message} ${index} `;
    const all = await this.chat.attachments.uploads();
    return all.find(
      ({ mark, conversation }) => conversation === this.conversation && mark?.startsWith(begin),
    );
  }

  /** Takes uploads back. What does not go now goes by itself. */
  private async forget(which: (upload: Upload) => boolean): Promise<void> {
    const { attachments } = this.chat;
    for (const upload of await attachments.uploads()) {
      if (!which(upload)) continue;
      const { signal } = this.setting;
      await attachments.remove(upload.descriptor.id, { signal }).catch(() => {});
    }
  }

  private stopped(error: unknown): Fault {
    if (this.setting.signal.aborted || error instanceof Interrupted) {
      return new Interrupted('Stopped; nothing was said yet.', this.again);
    }
    return laterFault(faultOf(error), `Nothing was said yet. ${this.again}`);
  }
}

/** Begun by a command that was killed and never run again. */
function isOld({ mark }: Upload): boolean {
  const begun = /^[0-9a-f]{32} \d+ (\d+)$/.exec(mark ?? '')?.[1];
  return begun !== undefined && Date.now() - Number(begun) > FORGOTTEN_MS;
}
