// What was said: to read it, to list where, to compare numbers, to take it along.
import { open } from 'node:fs/promises';

import { ConversationState } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { Chat, onlyOne, orStopped, patiently } from './chat.ts';
import type { Setting } from './chat.ts';
import { EXIT, Fault } from './faults.ts';
import { Feed } from './feed.ts';
import { Output } from './output.ts';
import { follow } from './talk.ts';
import { digitGroups, lineEvent, lineWords, short, whoseWord } from './words.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Shows what is new, or all that is kept; follows what comes where that is asked for. */
export async function read(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  const only = line.what === undefined ? undefined : await chat.theConversation();
  const { history, people } = chat;
  const feed = new Feed({ history, people, output, only });
  if (line.all) {
    const names = only === undefined ? await history.conversations() : [only];
    for (const name of names) feed.startAfter(name, 0);
  }
  try {
    if (line.follow) return await follow(chat, feed);
    const failure = await fetchAll(chat, only);
    const shown = await feed.showNew();
    if (failure !== undefined) throw failure;
    if (shown === 0) output.note({ event: 'nothing-new' }, 'Nothing new.');
  } finally {
    await chat.close();
  }
}

/** Sends what waits and fetches what is new. What is here can be shown whatever this gives. */
async function fetchAll(chat: Chat, only: string | undefined): Promise<unknown> {
  const { setting } = chat;
  const conversations = chat.conversations();
  try {
    const all = await patiently(setting, () => chat.listConversations());
    await refillDaily(chat);
    for (const { name, state } of all) {
      if (only !== undefined && name !== only) continue;
      await patiently(setting, () => conversations.fetch(name));
      if (state === ConversationState.OPEN && (await chat.waits(name))) {
        await orStopped(conversations.flush(name), setting.signal);
      }
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

const REFILLED = 'talk/refilled';

/** Who only ever reads has key packages too. */
async function refillDaily(chat: Chat): Promise<void> {
  const last = await chat.store.get(REFILLED);
  const now = Date.now();
  if (last !== undefined && now - Number(new TextDecoder().decode(last)) < DAY_MS) return;
  await patiently(chat.setting, () => chat.keyPackages.refill());
  await chat.store.transact(async (transaction) =>
    transaction.put(REFILLED, new TextEncoder().encode(String(now))),
  );
}

/** Lists the conversations, newest first. */
export async function listConversations(setting: Setting): Promise<void> {
  const { output } = setting;
  const chat = await Chat.open(setting);
  const all = await patiently(setting, () => chat.listConversations());
  const conversations = chat.conversations();
  for (const { name, members, state, headSequence } of all) {
    const others = members.filter((member) => member !== chat.member);
    const open = state === ConversationState.OPEN;
    const view = await conversations.view(name);
    const unread = (await chat.history.count(name)) - (await chat.history.shown(name));
    const reach =
      view === undefined
        ? 'not begun on this device'
        : `encrypted for ${view.members.length} devices`;
    const words =
      `${name}  ${open ? 'open' : 'closed'}  with ${others.map(short).join(', ')}  ${reach}` +
      (unread > 0 ? `  ${unread} new` : '');
    const event = {
      event: 'conversation',
      conversation: name,
      state: open ? 'open' : 'closed',
      members,
      head_sequence: headSequence,
      readable: view !== undefined,
      devices: view?.members.map(({ device }) => device) ?? [],
      unread,
    };
    output.tell(event, words);
  }
  if (all.length === 0) {
    const words =
      'No conversation yet. One comes with a pairing: when a sponsor has accepted (handrail ' +
      'match, handrail offers).';
    output.note({ event: 'none' }, words);
  }
  await chat.close();
}

/** Shows the number that two people compare, or notes that they have. */
export async function verify(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  const conversation = await chat.theConversation();
  const conversations = chat.conversations();
  await patiently(setting, () => conversations.fetch(conversation));
  const verification = await conversations.authenticator(conversation);
  const view = await conversations.view(conversation);
  if (verification === undefined || view === undefined) {
    throw new Fault(
      EXIT.later,
      'There is no number yet: this device cannot read the conversation.',
      'It begins with the first message, and is open here once another device of it was online: ' +
        'handrail-chat talk',
      'NOT_IN_GROUP',
    );
  }
  const devices = view.members.map(({ device }) => device).sort();
  if (line.compared) await chat.history.markCompared(conversation, { devices, verification });
  const before = await chat.history.lastCompared(conversation);
  const same = before?.devices.join() === devices.join();
  const compared = before === undefined ? 'never' : same ? 'same-devices' : 'other-devices';
  const names = await chat.people.namesIn(conversation, devices);
  const owned = devices.map((device) => ({ device, owner: names.device(device) }));
  const list = owned.map(({ device, owner }) => `\n  ${short(device)}  ${whoseWord(owner)}`).join('');
  const words =
    `The verification number of ${conversation}:\n\n    ${digitGroups(verification)}\n\n` +
    'Read it to each other face to face or on the phone, not in here. If both see the same,\n' +
    'nobody stands between you; then note it with: handrail-chat verify --compared\n' +
    'If not, both run handrail-chat read and look again; if it still differs, say nothing ' +
    `private here.\nThe number is another one whenever devices come or go, or keys change.\n\n` +
    `Devices that can read:${list}\n\n${COMPARED[compared]}`;
  const event = { event: 'verification', conversation, verification, devices: owned, compared };
  output.tell({ ...event, epoch: view.epoch }, words);
  await chat.close();
}

const COMPARED = {
  never: 'You have not noted yet that you compared it.',
  'same-devices': 'These are the devices that there were when you compared it.',
  'other-devices': 'OTHER DEVICES can read than when you compared it: compare it again.',
} as const;

/** Writes out all that is kept of a conversation here. Asks no server. */
export async function exportConversation(setting: Setting): Promise<void> {
  const { line, output } = setting;
  const chat = await Chat.open(setting);
  const begin = line.what?.replace(/^conversations\//, '') ?? '';
  const known = await chat.namesHere(false);
  const conversation = onlyOne(
    known.filter((name) => name.startsWith(`conversations/${begin}`)),
    line.what,
  );
  const lines = await chat.history.after(conversation, 0);
  const names = await chat.people.namesIn(conversation);
  const file = line.to === undefined ? undefined : await newFile(line.to);
  const parts: string[] = [];
  const written = file === undefined ? output : new Output(line.json, toArray(parts), toArray([]));
  const now = Date.now();
  const time = new Date(now).toISOString();
  const { device, member } = chat;
  const about = { event: 'export', conversation, device, member, time, lines: lines.length };
  written.tell(about, `${conversation}, as ${device} has it at ${time}. Times are local.\n`);
  // With the date in every line, whenever it is read.
  for (const one of lines) {
    const words = lineWords(conversation, one, names, Number.NaN);
    written.tell(lineEvent(conversation, one, names), words);
  }
  if (file !== undefined) {
    await file.writeFile(parts.join(''));
    await file.sync();
    await file.close();
    const words = `${lines.length} lines are in ${line.to}. It is NOT encrypted: keep it safe.`;
    output.tell({ event: 'exported', conversation, file: line.to, lines: lines.length }, words);
  }
  await chat.close();
}

const toArray = (parts: string[]) => ({ write: (text: string) => parts.push(text) });

async function newFile(path: string) {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    throw new Fault(EXIT.usage, `${path} ${why}.`, 'Name another file with --to FILE.', 'USAGE');
  }
}

