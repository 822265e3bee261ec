// Conversations of several people: to begin one, to let somebody in, to come in.
import { timestampDate } from '@bufbuild/protobuf/wkt';

import type { Invitation } from '../gen/handrail/messaging/v1/invitation_pb.ts';
import { MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { HandrailError } from '../transport/errors.ts';
import { Chat, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault, usageFault } from './faults.ts';
import { linesOf } from './send.ts';
import { short } from './words.ts';

/** Begins a conversation, with nobody else in it yet. */
export async function beginGroup(setting: Setting): Promise<void> {
  const chat = await Chat.open(setting);
  try {
    // Not again and again: who tries twice has two.
    const conversation = await chat.conversations().createGroup();
    await note(chat, conversation);
    const words = `${conversation}\nYou are alone in it. Let somebody in: handrail-chat invite`;
    setting.output.tell({ event: 'group', conversation }, words);
  } finally {
    await chat.close();
  }
}

/** Keeps a place for one more and shows what lets them in; or lists, or frees, such places. */
export async function invite(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  try {
    const conversations = chat.conversations();
    if (line.revoke !== undefined) {
      const { revoke } = line;
      if (!/^invitations\/[0-9a-f]{32}$/.test(revoke)) {
        const todo = 'See: handrail-chat invite --list';
        throw usageFault('--revoke wants the name of an invitation.', todo);
      }
      await patiently(setting, () => conversations.revoke(revoke));
      output.tell({ event: 'revoked', invitation: revoke }, `Nobody comes by ${revoke} any more.`);
      return;
    }
    const conversation = await chat.theConversation();
    if (line.list) {
      const open = await patiently(setting, () => conversations.invitations(conversation));
      for (const one of open) output.tell(eventOf(one), listWords(one));
      if (open.length === 0) output.note({ event: 'none' }, 'No place is kept for anybody.');
      return;
    }
    const { invitation, code } = await conversations.invite(conversation);
    const words =
      `For one person, until ${expiryOf(invitation)}, one time. Whoever has it can come in:\n\n` +
      `    ${code}\n\nThey type: handrail-chat accept`;
    output.tell({ ...eventOf(invitation), code }, words);
  } finally {
    await chat.close();
  }
}

/** Comes in, by the invitation on standard input. */
export async function acceptInvitation(setting: Setting, input: NodeJS.ReadStream): Promise<void> {
  const { output, signal } = setting;
  const chat = await Chat.open(setting);
  try {
    if (input.isTTY) output.note({ event: 'typing' }, 'Paste the invitation, then press Enter.');
    const code = await firstOf(linesOf(input, signal));
    await patiently(setting, () => chat.keyPackages.refill());
    const conversation = await patiently(setting, () => chat.conversations().accept(code)).catch(
      (error: unknown) => {
        throw isNotThere(error) ? noInvitation() : error;
      },
    );
    await note(chat, conversation);
    const words =
      `You are in ${conversation}.\nOne of their devices lets yours in as soon as it runs: ` +
      'handrail-chat talk';
    output.tell({ event: 'accepted', conversation }, words);
  } finally {
    await chat.close();
  }
}

async function firstOf(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) {
    if (line.trim() !== '') return line;
  }
  throw usageFault('There is no invitation on standard input.', 'Paste it, or pipe it in.');
}

/** What is known of it at the server is remembered here. */
async function note(chat: Chat, name: string): Promise<void> {
  const { getConversation } = MessagingService.method;
  const now = await patiently(chat.setting, () => chat.transport.unary(getConversation, { name }));
  await chat.history.noteConversation(now);
}

function expiryOf({ expireTime }: Invitation): string {
  return expireTime === undefined ? 'it is revoked' : timestampDate(expireTime).toISOString();
}

function eventOf(invitation: Invitation) {
  const { name, conversation, inviter } = invitation;
  const expires = expiryOf(invitation);
  return { event: 'invitation', conversation, invitation: name, inviter, expires };
}

function listWords(invitation: Invitation): string {
  return `${invitation.name}  by ${short(invitation.inviter)}  until ${expiryOf(invitation)}`;
}

const isNotThere = (error: unknown) =>
  error instanceof HandrailError && error.reason === 'NOT_FOUND';

const noInvitation = () =>
  new Fault(
    EXIT.failed,
    'Nobody comes in by this invitation, or not you.',
    'It may have been used or taken back, or be older than seven days. Ask for another one.',
    'NOT_FOUND',
  );
