import { homedir } from 'node:os';
import { clearLine, createInterface, cursorTo } from 'node:readline';
import type { Interface } from 'node:readline';

import { newRequestId } from '../base/bytes.ts';
import { DEFAULT_CLOSE_MS } from '../conversations/conversations.ts';
import type { Conversations } from '../conversations/conversations.ts';
import { ConversationError } from '../conversations/events.ts';
import type { SendOptions } from '../conversations/outbox.ts';
import type { InboxEnd, InboxStatus } from '../delivery/inbox.ts';
import { atMost, fullJitterMs, sleep } from '../transport/backoff.ts';
import { Chat } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, faultOf, usageFault } from './faults.ts';
import { Feed } from './feed.ts';
import { sizeWord } from './file_words.ts';
import type { Numbered } from './history.ts';
import { plainText } from './output.ts';
import { KEPT, linesOf } from './send.ts';
import { Uploads, localFile, typedPath } from './uploads.ts';
import { digitGroups, statusEvent, statusWords, whoseWord } from './words.ts';

/** So much of what was said before is shown to somebody who comes back. */
const LINES_BEFORE = 10;
/** Somebody who wrote wants to know when it takes longer than that. */
const DELIVERY_MS = 3_000;
const DAY_MS = 24 * 60 * 60 * 1000;
const REFILL_PAUSE = { firstMs: 2_000, capMs: 10 * 60_000 };
const FULL_PAUSE_MS = 500;

/** Shows what comes until the signal, and says how the connection is. */
export async function follow(chat: Chat, feed: Feed): Promise<void> {
  await receive(chat, feed, chat.setting.signal, async (_, signal) => {
    while (!signal.aborted) await sleep(DAY_MS, signal);
  });
}

/**
 * Receives while `meanwhile` runs, until it ends, or the signal comes, or there is no use in going
 * on. Shows what came before it returns. Fault with EXIT.replaced or EXIT.removed.
 */
async function receive(
  chat: Chat,
  feed: Feed,
  outer: AbortSignal,
  meanwhile: (conversations: Conversations, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const signal = AbortSignal.any([outer, stopping.signal]);
  chat.onNews = () => feed.wake();
  const told = new Telling(chat);
  const conversations = chat.conversations({
    checkMs: chat.setting.line.checkMs,
    onStatus: (status) => told.status(status),
    onProblem: (error) => told.problem(error),
  });
  const running = conversations.run(signal);
  const showing = feed.run(signal);
  const refilling = keepRefilled(chat, signal);
  const doing = meanwhile(conversations, signal);
  try {
    const end = await Promise.race([running, doing.then(() => 'stopped' as const)]);
    if (end !== 'stopped') throw endFault(end);
  } finally {
    stopping.abort();
    await Promise.allSettled([running, doing]);
    await atMost(DEFAULT_CLOSE_MS, refilling);
    await showing;
  }
}

function endFault(end: Exclude<InboxEnd, 'stopped'>): Fault {
  if (end === 'replaced') {
    return new Fault(
      EXIT.replaced,
      'Another program receives as this device now, perhaps in another window.',
      'Nothing is lost. Use that one, or close it and start this one again.',
      'REPLACED',
    );
  }
  return new Fault(
    EXIT.removed,
    'This device may no longer read: it was removed, or its person may not use the service.',
    'What is on it stays readable: handrail-chat export',
    'DEVICE_REVOKED',
  );
}

/** Others can let this device into conversations as long as it has key packages at the server. */
async function keepRefilled(chat: Chat, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      await chat.keyPackages.refill();
      failures = 0;
      await sleep(DAY_MS, signal);
    } catch {
      // The connection has been told of; this is tried until it works.
      failures += 1;
      await sleep(fullJitterMs(failures, REFILL_PAUSE, Math.random), signal);
    }
  }
}

/** Says once what matters, however often it is tried again. */
class Telling {
  private lost = false;
  private readonly said = new Set<string>();

  constructor(private readonly chat: Chat) {}

  status(status: InboxStatus): void {
    const { output } = this.chat.setting;
    output.note(statusEvent(status), statusWords(status, this.lost));
    if (status.kind === 'waiting') this.lost = true;
    if (status.kind !== 'caught-up') return;
    this.lost = false;
    this.said.clear();
  }

  problem(error: Error): void {
    const { message, todo, reason } = faultOf(error);
    const words = error instanceof ConversationError && !this.said.has(reason);
    this.said.add(reason);
    const event = { event: 'problem', reason, message: error.message };
    this.chat.setting.output.note(event, words ? `(${message} ${todo})` : '');
  }
}

/** A conversation at the terminal, or line by line for scripts. */
export async function talk(setting: Setting, input: NodeJS.ReadStream): Promise<void> {
  const { output, signal } = setting;
  const chat = await Chat.open(setting);
  try {
    const conversation = await chat.theConversation();
    const terminal = input.isTTY && process.stdout.isTTY && !output.json;
    const screen = new Screen(chat, conversation, terminal);
    const { history, people } = chat;
    const feed = new Feed({
      history,
      people,
      output,
      only: conversation,
      instead: (line) => screen.showsOwn(line),
    });
    if (terminal) {
      const count = await history.count(conversation);
      const shown = await history.shown(conversation);
      feed.startAfter(conversation, Math.min(shown, Math.max(0, count - LINES_BEFORE)));
      await screen.greet();
    }
    await receive(chat, feed, signal, async (conversations, stop) => {
      if (terminal) await screen.typing(conversations, input, stop);
      else await screen.lines(conversations, linesOf(input, stop), stop);
      if (stop.aborted) return;
      await chat.deliver(conversations, conversation, stop);
      // What was sent comes back in its place; then it is shown.
      await chat.echoed(conversation, stop);
    });
    if (await chat.waits(conversation)) {
      const what = 'What you said last is not at the server yet.';
      throw new Fault(EXIT.later, what, KEPT, 'NOT_SENT');
    }
  } finally {
    await chat.close();
  }
}

/** What somebody writes into a conversation, and what becomes of it. */
class Screen {
  /** What was written here and is not at the server yet, with what says so after a while. */
  private readonly own = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly chat: Chat,
    private readonly conversation: string,
    private readonly terminal: boolean,
  ) {}

  async greet(): Promise<void> {
    const { chat, conversation } = this;
    const digits = await chat.conversations().authenticator(conversation);
    const number = digits === undefined ? '' : `\nVerification number: ${digitGroups(digits)}`;
    const words =
      `${conversation}, end to end encrypted.${number}\n` +
      'Type and press Enter. /help tells more, Ctrl-C or Ctrl-D ends. Nothing you sent is lost.\n';
    chat.setting.output.note({ event: 'talking', conversation }, words);
  }

  /** A line that this person typed is on the screen already: only its end is told. */
  showsOwn(line: Numbered): boolean {
    if (line.kind !== 'sent' || !this.own.has(line.message)) return false;
    clearTimeout(this.own.get(line.message));
    this.own.delete(line.message);
    if (!this.terminal) return false;
    const words = `        (message ${line.sequence}: delivered to the server)`;
    this.chat.setting.output.tell({ event: 'sent' }, words);
    return true;
  }

  /** Says every line, until they end or the signal comes. */
  async lines(
    conversations: Conversations,
    lines: AsyncIterable<string>,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const text of lines) {
      if (signal.aborted) return;
      if (text.trim() !== '') await this.say(conversations, text, signal);
    }
  }

  /** The same for somebody who types while others talk. */
  async typing(
    conversations: Conversations,
    input: NodeJS.ReadStream,
    signal: AbortSignal,
  ): Promise<void> {
    const { output } = this.chat.setting;
    const typed = createInterface({ input, output: process.stdout, prompt: '> ', signal });
    const ended = new Promise<void>((resolve) => typed.once('close', resolve));
    const before = output.around;
    output.around = (write) => {
      clearLine(process.stdout, 0);
      cursorTo(process.stdout, 0);
      write();
      typed.prompt(true);
    };
    // Ctrl-C, which the terminal hands over as a key while somebody types.
    typed.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    let saying = Promise.resolve();
    typed.on('line', (text) => {
      saying = saying.then(() => this.typedLine(conversations, typed, text, signal));
    });
    typed.prompt();
    await ended;
    await saying;
    output.around = before;
  }

  private async typedLine(
    conversations: Conversations,
    typed: Interface,
    text: string,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      if (text.startsWith('/') && !text.startsWith('//')) {
        if (text.trim() === '/quit') return typed.close();
        const path = /^\/file(?:\s+(.*))?$/.exec(text.trim());
        if (path === null) await this.command(conversations, text.trim());
        else await this.file(conversations, path[1] ?? '', signal);
      } else if (text.trim() !== '') {
        await this.say(conversations, text.startsWith('//') ? text.slice(1) : text, signal);
      }
    } catch (error) {
      const { message, todo } = faultOf(error);
      this.chat.setting.output.note({ event: 'problem' }, `${message} ${todo}`);
    }
    if (!signal.aborted) typed.prompt(true);
  }

  private async command(conversations: Conversations, word: string): Promise<void> {
    const { chat, conversation } = this;
    const { output } = chat.setting;
    if (word === '/verify') {
      const digits = await conversations.authenticator(conversation);
      const words =
        digits === undefined
          ? 'There is no number yet: the conversation has not begun on this device.'
          : `${digitGroups(digits)}  – the same on both sides? More: handrail-chat verify`;
      output.note({ event: 'verification' }, words);
      return;
    }
    if (word === '/devices') {
      const devices = (await conversations.view(conversation))?.members ?? [];
      const all = devices.map(({ device }) => device);
      const names = await chat.people.namesIn(conversation, all);
      const words = all.map((device) => `${device}  ${whoseWord(names.device(device))}`).join('\n');
      output.note({ event: 'devices' }, words || 'Nobody can read yet.');
      return;
    }
    const words =
      word === '/help'
        ? HELP
        : `There is no ${word}. ${HELP}\nTo send a line that begins with / write // instead.`;
    output.note({ event: 'help' }, words);
  }

  /** Sends a file, with no words; what is typed meanwhile comes after it. */
  private async file(
    conversations: Conversations,
    typed: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { chat, conversation } = this;
    if (typed === '') throw usageFault('Which file?', 'As in: /file ~/photo.jpg');
    const file = await localFile(typedPath(typed, homedir()));
    const about = `${plainText(file.name)}, ${sizeWord(file.size)}`;
    chat.setting.output.note({ event: 'uploading' }, `        (${about}: on its way)`);
    const id = newRequestId();
    const setting = { ...chat.setting, signal };
    const uploads = new Uploads(chat, conversation, id, 'Send the file once more.', setting);
    const attachments = await uploads.all([file]);
    await this.say(conversations, '', signal, { id, attachments });
  }

  private async say(
    conversations: Conversations,
    text: string,
    signal: AbortSignal,
    options: SendOptions = {},
  ): Promise<void> {
    const { chat, conversation } = this;
    const { output } = chat.setting;
    for (let tries = 1; ; ++tries) {
      try {
        const message = await conversations.send(conversation, text, options);
        output.tell({ event: 'kept', conversation, message }, '');
        if (this.terminal) this.own.set(message, this.sayLater());
        return;
      } catch (error) {
        const full = error instanceof ConversationError && error.fault === 'outbox-full';
        if (!full || signal.aborted) throw error;
        if (tries === 1) {
          const words = 'A hundred messages wait to go out; the next is taken when there is room.';
          output.note({ event: 'waiting', reason: 'OUTBOX_FULL' }, words);
        }
        await sleep(FULL_PAUSE_MS, signal);
      }
    }
  }

  private sayLater(): NodeJS.Timeout {
    const words = '        (not at the server yet: it is kept here, and goes out by itself)';
    const { output } = this.chat.setting;
    return setTimeout(() => output.note({ event: 'waiting' }, words), DELIVERY_MS).unref();
  }
}

const HELP =
  '/verify shows the number to compare, /devices who can read, /file PATH sends a file, /quit ' +
  'ends. All else is said.';

