// To take part in a conversation no more.
import { MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { outboxOf } from '../conversations/records.ts';
import { Chat, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { usageFault } from './faults.ts';

/** Leaves, where the person has said that they know what it means. */
export async function leave(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  try {
    const conversation = await chat.theConversation();
    if (!line.yes) {
      throw usageFault(
        `That would be for good: nothing more of ${conversation} comes to any device of yours, ` +
          'and the others see that you left. Nobody asks why.',
        'If that is what you want: the same again, with --yes. More: handrail-chat leave --help',
      );
    }
    const waiting = (await outboxOf(chat.store, conversation)).filter(
      ({ sequence }) => sequence === undefined,
    );
    const conversations = chat.conversations();
    await patiently(setting, () => conversations.leave(conversation));
    await note(chat, conversation);
    const event = { event: 'left', conversation, not_sent: waiting.length };
    output.tell(event, wordsOf(conversation, waiting.length));
  } finally {
    await chat.close();
  }
}

/** Notes here that it is over; the person has left, whatever becomes of this call. */
async function note(chat: Chat, name: string): Promise<void> {
  const { getConversation } = MessagingService.method;
  await chat.transport
    .unary(getConversation, { name })
    .then((now) => chat.history.noteConversation(now))
    .catch(() => {});
}

function wordsOf(conversation: string, waiting: number): string {
  const messages = waiting === 1 ? 'a message' : `${waiting} messages`;
  const unsent = waiting === 0 ? '' : `\nNot sent any more, and kept here: ${messages}.`;
  return (
    `You have left ${conversation}.${unsent}\n` +
    'What was said stays on this device: handrail-chat read --all, export; and report, which ' +
    'nobody in it is told of.'
  );
}
