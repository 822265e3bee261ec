import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';

import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import type { Conversations } from '../conversations/conversations.ts';
import { ConversationError } from '../conversations/events.ts';
import { MAX_TEXT_BYTES } from '../conversations/outbox.ts';
import type { SendOptions } from '../conversations/outbox.ts';
import { outboxOf } from '../conversations/records.ts';
import { newRequestId } from '../base/bytes.ts';
import { Chat, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, Interrupted, faultOf, usageFault } from './faults.ts';
import { Uploads, localFile } from './uploads.ts';
import type { LocalFile } from './uploads.ts';
import { refusalWords } from './words.ts';

const MAX_INPUT_BYTES = 64 << 10;
/** So many lines are kept before the first is waited for. */
const LINES_AT_ONCE = 50;

export const KEPT =
  'It is kept on this device, and goes out when handrail-chat (send, read or talk) runs here next.';

/** The id of a line of `send --lines --id ID`: the same whenever it is said again. */
export function lineId(id: string, number: number): string {
  return createHash('sha256').update(`${id} ${number}`).digest('hex').slice(0, 32);
}

/** Says what is on standard input: all of it as one message, or each line. */
export async function send(setting: Setting, input: NodeJS.ReadStream): Promise<void> {
  const { line, output, signal } = setting;
  const files = await Promise.all(line.files.map(localFile));
  // Before it is typed: who has to type it again because of a wrong passphrase will not be glad.
  const chat = await Chat.open(setting);
  const conversation = await chat.theConversation();
  const conversations = chat.conversations();
  const sending = new Sending(chat, conversations, conversation);
  const ask = (words: string) => input.isTTY && output.note({ event: 'typing' }, words);
  try {
    if (line.lines) {
      ask('Each line is a message. Ctrl-D at the beginning of a line ends.');
      await sendLines(sending, linesOf(input, signal), line.id);
    } else {
      const id = line.id ?? newRequestId();
      const piped = input.isTTY ? undefined : await wholeOf(input, signal, files.length > 0);
      const attachments = await sending.upload(files, id);
      // Nothing is typed in vain: what it goes with is there.
      const may = files.length > 0 ? 'Your message, or nothing.' : 'Your message.';
      ask(`${may} Ctrl-D at the beginning of a line sends it; Ctrl-C throws it away.`);
      const text = piped ?? (await wholeOf(input, signal, files.length > 0));
      await sending.say(text, { id, attachments });
    }
    await sending.finish();
  } finally {
    await chat.close();
  }
}

async function sendLines(
  sending: Sending,
  lines: AsyncIterable<string>,
  id: string | undefined,
): Promise<void> {
  let number = 0;
  for await (const text of lines) {
    number += 1;
    if (text.trim() === '') continue;
    const messageId = id === undefined ? newRequestId() : lineId(id, number);
    await sending.say(text, { id: messageId, line: number });
  }
}

/** Lines of standard input; ends early when it is interrupted. */
export function linesOf(input: NodeJS.ReadStream, signal: AbortSignal): AsyncIterable<string> {
  return createInterface({ input, crlfDelay: Infinity, signal });
}

async function wholeOf(
  input: NodeJS.ReadStream,
  signal: AbortSignal,
  mayBeEmpty: boolean,
): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  const stop = () => input.destroy(new Interrupted('Nothing was said.'));
  signal.addEventListener('abort', stop);
  try {
    if (signal.aborted) stop();
    for await (const part of input) {
      parts.push(Buffer.from(part as Buffer | string));
      length += parts.at(-1)?.length ?? 0;
      if (length > MAX_INPUT_BYTES) break;
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
  const text = new TextDecoder().decode(Buffer.concat(parts)).replace(/\r?\n$/, '');
  if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) {
    throw usageFault(`Not possible: a message has at most ${MAX_TEXT_BYTES} bytes.`);
  }
  if (text.trim() !== '') return text;
  if (mayBeEmpty) return '';
  throw usageFault('There is nothing to say.', 'Type it, or pipe it in.');
}

/** A message that is to be said. */
interface ToSay {
  readonly id: string;
  readonly attachments?: readonly AttachmentDescriptor[];
  /** Of the input, from 1. */
  readonly line?: number;
}

/** What one run of `send` says, from its words to their places. */
class Sending {
  private open: ToSay[] = [];
  private refused = '';
  private said = 0;

  constructor(
    private readonly chat: Chat,
    private readonly conversations: Conversations,
    private readonly conversation: string,
  ) {}

  /** Uploads what goes with a message that was not said yet. */
  async upload(files: readonly LocalFile[], id: string): Promise<readonly AttachmentDescriptor[]> {
    if (files.length === 0 || (await this.known(id))) return [];
    return this.uploads(id).all(files);
  }

  /** Keeps it on disk; what was said under this id before is not said again. */
  async say(text: string, what: ToSay): Promise<void> {
    const { chat, conversation } = this;
    const { id, attachments = [], line } = what;
    const { output, signal } = chat.setting;
    if (signal.aborted) throw this.interrupted();
    if (!(await this.known(id))) {
      await this.keep(text, { id, attachments });
      output.tell({ event: 'kept', conversation, message: id, line }, '');
    }
    // Another run of this command may have uploaded them, too.
    if (attachments.length > 0) await this.uploads(id).forgetMine();
    this.open.push(what);
    if (this.open.length >= LINES_AT_ONCE) await this.settle();
  }

  /** Waits until everything has its place. Fault when something was refused. */
  async finish(): Promise<void> {
    if (this.chat.setting.signal.aborted) throw this.interrupted();
    await this.settle();
    if (this.refused !== '') {
      const todo = 'What you wrote is in: handrail-chat read --all';
      throw new Fault(EXIT.failed, `Not sent: ${refusalWords(this.refused)}.`, todo, this.refused);
    }
    if (this.said < 2) return;
    const event = { event: 'done', messages: this.said };
    this.chat.setting.output.tell(event, `${this.said} messages sent.`);
  }

  private uploads(id: string): Uploads {
    const { chat, conversation } = this;
    const again =
      chat.setting.line.id === undefined
        ? `To go on where it stopped, run the same again with: --id ${id}`
        : 'Run the same again to go on where it stopped.';
    return new Uploads(chat, conversation, id, again);
  }

  /** Whether it waits here, or has found its end. In this order: it goes from one to the other. */
  private async known(id: string): Promise<boolean> {
    const waiting = await outboxOf(this.chat.store, this.conversation);
    if (waiting.some(({ messageId }) => messageId === id)) return true;
    return (await this.chat.history.fate(this.conversation, id)) !== undefined;
  }

  private async keep(text: string, options: SendOptions): Promise<void> {
    try {
      await this.conversations.send(this.conversation, text, options);
    } catch (error) {
      if (!(error instanceof ConversationError) || error.fault !== 'outbox-full') throw error;
      await this.settle();
      await this.conversations.send(this.conversation, text, options);
    }
  }

  private async settle(): Promise<void> {
    const { chat, conversation, conversations } = this;
    try {
      await chat.deliver(conversations, conversation);
      // What was sent stays in the outbox, which has an end, until it has come back in its place.
      const kept = await outboxOf(chat.store, conversation);
      if (kept.length >= LINES_AT_ONCE) {
        await patiently(chat.setting, () => conversations.fetch(conversation));
      }
    } catch (error) {
      throw error instanceof Interrupted ? this.interrupted() : this.later(error);
    }
    const entries = await outboxOf(chat.store, conversation);
    for (const { id, line } of this.open) {
      const fate = await chat.history.fate(conversation, id);
      if (fate !== undefined && 'refused' in fate) {
        this.refused = fate.refused;
        chat.setting.output.tell(
          { event: 'refused', conversation, message: id, line, reason: fate.refused },
          '',
        );
        continue;
      }
      const place = fate?.sequence ?? entries.find(({ messageId }) => messageId === id)?.sequence;
      this.said += 1;
      // 0: it is there, and its place comes with what is read next.
      const sequence = place === undefined || place === '0' ? undefined : Number(place);
      const words = line === undefined ? `Sent${sequence ? `: message ${sequence}` : ''}.` : '';
      chat.setting.output.tell({ event: 'sent', conversation, message: id, line, sequence }, words);
    }
    this.open = [];
  }

  private interrupted(): Interrupted {
    const waiting = this.open.length;
    if (waiting === 0) return new Interrupted();
    return new Interrupted(`Stopped before it was at the server. ${KEPT}`);
  }

  private later(error: unknown): Fault {
    const fault = faultOf(error);
    return new Fault(fault.exit, fault.message, fault.todo || KEPT, fault.reason);
  }
}

