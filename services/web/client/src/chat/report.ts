// Reports of what others said, from a terminal or a script.
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { newRequestId } from '../base/bytes.ts';
import type { ReportableMessage } from '../conversations/reports.ts';
import { Chat, onlyOne, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, usageFault } from './faults.ts';
import { fileEvent } from './file_words.ts';
import { fileWords, saidWords, timeWord, whoseWord } from './words.ts';

/** Lists what can be reported, or reports what is named. */
export async function report(setting: Setting, input: Readable): Promise<void> {
  const { line } = setting;
  if (line.messages.length > 0 && line.reason === undefined) {
    throw usageFault('Why? A report needs --reason.', 'See: handrail-chat report --help');
  }
  const note = line.note ? (await text(input)).trim().replace(/\s+/g, ' ') : '';
  const chat = await Chat.open(setting);
  try {
    const conversation = await theConversation(chat);
    const all = await chat.conversations().reportable(conversation);
    if (line.messages.length === 0) return await list(chat, conversation, all);
    checkThatThereAre(all, line.messages);
    await hand(chat, conversation, line.messages, note);
  } finally {
    await chat.close();
  }
}

/** Also one that is closed. Asks no server. */
async function theConversation(chat: Chat): Promise<string> {
  const { what } = chat.setting.line;
  const begin = `conversations/${what?.replace(/^conversations\//, '') ?? ''}`;
  const known = await chat.namesHere(false);
  return onlyOne(
    known.filter((name) => name.startsWith(begin)),
    what,
  );
}

function checkThatThereAre(all: readonly ReportableMessage[], sequences: readonly bigint[]): void {
  for (const wanted of sequences) {
    if (all.some(({ sequence }) => sequence === wanted)) continue;
    const what = `There is no message ${wanted} that can be reported from this device.`;
    const todo = 'See which there are: handrail-chat report';
    throw new Fault(EXIT.failed, what, todo, 'NO_MESSAGE');
  }
}

async function list(
  chat: Chat,
  conversation: string,
  all: readonly ReportableMessage[],
): Promise<void> {
  const { output } = chat.setting;
  const names = await chat.people.namesIn(conversation);
  for (const { messageId, sequence, sender, text: said, attachments = [], time } of all) {
    const from = names.member(sender);
    const event = {
      event: 'reportable',
      conversation,
      message: messageId,
      sequence: Number(sequence),
      sender,
      from,
      time: new Date(time).toISOString(),
      text: said,
      files: attachments.map(fileEvent),
    };
    const who = from === 'they' ? 'they' : whoseWord(from);
    const files = attachments.map((file) => fileWords(file));
    const words = `${sequence}  ${timeWord(time, Date.now())}  ${saidWords(who, said, files)}`;
    output.tell(event, words);
  }
  if (all.length > 0) return;
  output.note({ event: 'none' }, 'Nothing of what others said can be reported from this device.');
}

async function hand(
  chat: Chat,
  conversation: string,
  sequences: readonly bigint[],
  note: string,
): Promise<void> {
  const { line, output } = chat.setting;
  const reason = line.reason ?? 'other';
  const requestId = line.id ?? newRequestId();
  const conversations = chat.conversations();
  const name = await patiently(chat.setting, () =>
    conversations.report(conversation, sequences, { reason, note, requestId }),
  );
  const words =
    `Reported. What to ask about it by: ${name}\n` +
    'Whom it is about is not told. In danger now? Call your local emergency number first.';
  const messages = sequences.map(Number);
  output.tell({ event: 'reported', conversation, report: name, messages }, words);
}
