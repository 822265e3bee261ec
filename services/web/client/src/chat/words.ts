// What people are told. Everything that is said of a line, in the same words wherever it is shown.
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import type { DeviceLogFault } from '../conversations/events.ts';
import type { InboxStatus } from '../delivery/inbox.ts';
import { aboutFile, fileEvent } from './file_words.ts';
import { attachmentsOf } from './history.ts';
import type {
  BrokenLogLine,
  GroupLine,
  MemberDevicesLine,
  MessageLine,
  Numbered,
} from './history.ts';
import { plainText } from './output.ts';
import type { Event } from './output.ts';

/** Whose a device or a message is. */
export type Owner = 'this device' | 'you' | 'they' | `member ${string}` | 'unknown';

/** Who is who in a conversation, as far as it is known now. */
export interface Names {
  /** `members/{member}`. */
  member(name: string): Owner;
  /** `devices/{device}`. */
  device(name: string): Owner;
}

/** As in a list of devices. */
export function whoseWord(owner: Owner): string {
  const words: Partial<Record<Owner, string>> = { you: 'yours', they: 'theirs', unknown: '?' };
  return words[owner] ?? owner;
}

/** The first letters of an id: enough for people to tell two apart. */
export const short = (name: string) => name.replace(/^[a-z]+\//, '').slice(0, 8);

/** The time of day; with the date when it was not today. Local time. */
export function timeWord(time: number, now: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const at = new Date(time);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const day = (date: Date) =>
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return day(at) === day(new Date(now)) ? clock : `${day(at)} ${clock}`;
}

/** Six groups of five: 12345 67890 … */
export const digitGroups = (digits: string) => digits.match(/.{1,5}/g)?.join(' ') ?? '';

/** As in "they: hello", by which device where it matters. */
function speaker(line: MessageLine, names: Names): string {
  const owner = names.member(line.sender);
  if (owner === 'you') return `you (on your device ${short(line.device)})`;
  return owner === 'unknown' ? 'they' : owner;
}

const UNREADABLE: Readonly<Record<string, string>> = {
  'not-encrypted': 'it was sent before this conversation was encrypted',
  'before-joining': 'it was sent before this device was let in',
  'unknown-content': 'it needs a newer version of this program',
  own: 'this device sent it, and no longer knows what it said',
  stale: 'it came too late, or twice',
  ahead: 'it belongs to keys that this device does not have',
  forged: 'it was not written by the one whose name is on it: do not trust it',
  gone: 'this device is no longer in the conversation',
  malformed: 'it was damaged or changed on the way',
};

export const unreadableWords = (reason: string) => UNREADABLE[reason] ?? reason;

/** The device of somebody, in a sentence. */
function deviceWords(device: string, names: Names): string {
  const owner = names.device(device);
  const name = short(device);
  if (owner === 'this device') return `this device (${name})`;
  if (owner === 'you') return `a device of yours (${name})`;
  if (owner === 'they') return `a device of theirs (${name})`;
  if (owner === 'unknown') return `a device (${name})`;
  return `a device of ${owner} (${name})`;
}

const listWords = (devices: readonly string[], names: Names) =>
  devices.map((device) => deviceWords(device, names)).join(', ');

function comparedWords({ compared }: GroupLine): string {
  if (compared === 'never') return '';
  if (compared === 'same-devices') {
    return ' They are the devices that you compared; the number is a new one all the same.';
  }
  return (
    ' THE VERIFICATION NUMBER HAS CHANGED since you compared it, because other devices can read ' +
    'now. If nobody told you of this, ask them in another way than here, and compare it again: ' +
    'handrail-chat verify'
  );
}

/** Who can read now. */
export function groupWords(line: GroupLine, names: Names): string {
  const { standing, begun, added, removed, count } = line;
  if (standing === 'removed') return 'This device was taken out of the conversation.';
  if (standing === 'lost') {
    return 'This device lost the thread of the conversation. It comes back by itself.';
  }
  const others = added.filter((device) => names.device(device) !== 'this device');
  const parts: string[] = [];
  if (begun) {
    parts.push(`This device can read and write now, end to end encrypted, as one of ${count}.`);
  } else if (added.length + removed.length === 0) {
    parts.push('Somebody’s keys were renewed, as happens now and then; nobody came or went.');
  }
  if (others.length > 0 && !begun) parts.push(`Can read from now on: ${listWords(others, names)}.`);
  if (removed.length > 0) parts.push(`Can no longer read: ${listWords(removed, names)}.`);
  return parts.join(' ') + comparedWords(line);
}

/** Whose devices are meant, at the beginning of a sentence. */
function whoWords(member: string, names: Names): string {
  const owner = names.member(member);
  if (owner === 'you') return 'You have';
  return owner === 'they' || owner === 'unknown' ? 'They have' : `Member ${short(member)} has`;
}

/** Who came by a device, or lost one. */
function memberDevicesWords(line: MemberDevicesLine, names: Names, now: number): string {
  const { member, since, added, removed } = line;
  const list = (devices: readonly string[]) => devices.map(short).join(', ');
  const parts: string[] = [];
  if (added.length > 0) parts.push(`a new device (${list(added)})`);
  if (removed.length > 0) parts.push(`no longer the device ${list(removed)}`);
  return `${whoWords(member, names)} ${parts.join(' and ')} since ${timeWord(since, now)}.`;
}

const LOG_FAULTS: Readonly<Record<DeviceLogFault, string>> = {
  shortened: 'entries that this device has read are gone',
  rewritten: 'it does not go on from what this device has read',
  'other-key': 'a device has another key there than the one that it uses',
  malformed: 'it does not make sense',
};

/** What nobody should overlook. */
export function brokenLogWords(
  { member, fault }: Pick<BrokenLogLine, 'member' | 'fault'>,
  names: Names,
): string {
  const owner = names.member(member);
  const whose =
    owner === 'you' ? 'YOUR' : owner === 'they' || owner === 'unknown' ? 'THEIR' : `${owner}’s`;
  return (
    `THE LIST OF ${whose} DEVICES WAS CHANGED BEHIND YOUR BACK: ${LOG_FAULTS[fault]}. Somebody else ` +
    'may be able to read along. Ask them in another way than here, and compare the number: ' +
    'handrail-chat verify'
  );
}

const aside = (text: string) => `        (${text})`;

/**
 * A file, below the text of its message: further left than any line of a text, so that no text
 * looks like one. Its name, which is its sender's, comes last: nothing follows that it could fake.
 */
export function fileWords(file: AttachmentDescriptor, how = ''): string {
  return `\n    + file (${aboutFile(file)}${how}): ${plainText(file.name)}`;
}

const getWords = (conversation: string, { id }: AttachmentDescriptor) =>
  `; get it: handrail-chat save ${short(conversation)} ${short(id)}`;

/** What somebody said, text and files. */
export function saidWords(who: string, text: string, files: readonly string[]): string {
  const said = text === '' && files.length > 0 ? '' : ` ${plainText(text)}`;
  return `${who}:${said}${files.join('')}`;
}

/** One line as it stands on the screen. */
export function lineWords(
  conversation: string,
  line: Numbered,
  names: Names,
  now: number,
): string {
  const time = timeWord(line.time, now);
  const files = attachmentsOf(line);
  const own = files.map((file) => fileWords(file));
  switch (line.kind) {
    case 'message': {
      const theirs = files.map((file) => fileWords(file, getWords(conversation, file)));
      return `${time}  ${saidWords(speaker(line, names), line.text, theirs)}`;
    }
    case 'sent':
      return `${time}  ${saidWords('you', line.text, own)}`;
    case 'refused': {
      const said = saidWords('NOT SENT', line.text, own);
      return `${time}  ${said}\n${aside(refusalWords(line.reason))}`;
    }
    case 'unreadable':
      return aside(`${time}: a message could not be read: ${unreadableWords(line.reason)}`);
    case 'gap':
      return aside(`${time}: ${gapWords(line.first, line.last)}`);
    case 'devices':
      return aside(`${time}: ${groupWords(line, names)}`);
    case 'member-devices':
      return aside(`${time}: ${memberDevicesWords(line, names, now)}`);
    case 'device-log-broken':
      return aside(`${time}: ${brokenLogWords(line, names)}`);
    case 'conversation':
      return aside(
        line.state === 'closed'
          ? `${time}: the conversation was closed; what was said stays here`
          : `${time}: the conversation is open`,
      );
  }
}

export function refusalWords(reason: string): string {
  if (reason === 'CONVERSATION_CLOSED') return 'the conversation is closed';
  if (reason === 'NOT_FOUND') return 'the conversation is not there, or not yours any more';
  return `the server refused it: ${reason}`;
}

function gapWords(first: string, last: string): string {
  const places = BigInt(last) - BigInt(first) + 1n;
  const what = places === 1n ? `place ${first}` : `places ${first} to ${last}`;
  return (
    `${what} of the conversation never came to this device: kept no longer at the server, or of ` +
    'a time when this device was out. Your other devices may have it'
  );
}

type WithFiles = Numbered & { readonly attachments?: readonly AttachmentDescriptor[] };

/** One line as scripts get it. */
export function lineEvent(conversation: string, line: Numbered, names: Names): Event {
  // Of the files all but their keys.
  const { kind, time, attachments, ...more }: WithFiles = line;
  const when = new Date(time).toISOString();
  const about = { event: kind, conversation, time: when };
  const files = attachments?.map(fileEvent) ?? [];
  switch (line.kind) {
    case 'message': {
      const from = names.member(line.sender);
      return { ...about, ...more, sequence: Number(line.sequence), from, files };
    }
    case 'sent':
      return { ...about, ...more, sequence: Number(line.sequence), files };
    case 'refused':
      return { ...about, ...more, files };
    case 'unreadable':
      return { ...about, ...more, sequence: Number(line.sequence) };
    case 'gap':
      return { ...about, ...more, first: Number(line.first), last: Number(line.last) };
    case 'devices': {
      const owned = (devices: readonly string[]) =>
        devices.map((device) => ({ device, owner: names.device(device) }));
      return { ...about, ...more, added: owned(line.added), removed: owned(line.removed) };
    }
    case 'member-devices':
      return { ...about, ...more, since: new Date(line.since).toISOString() };
    default:
      return { ...about, ...more };
  }
}

const secondsWord = (ms: number) => {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds === 1 ? 'a second' : `${seconds} seconds`;
};

/** What became of the connection. `lost`: the person was told that it is. */
export function statusWords(status: InboxStatus, lost: boolean): string {
  if (status.kind === 'caught-up') return lost ? 'Connected again; nothing is missing.' : '';
  if (status.kind !== 'waiting' || lost) return '';
  const { ms, error } = status;
  const again = `in ${secondsWord(ms)}, and then until it works. What you write is kept.`;
  if (error === undefined) return `The server restarts. Trying again ${again}`;
  return `The connection is lost (${error.message}). Trying again ${again}`;
}

export function statusEvent(status: InboxStatus): Event {
  if (status.kind !== 'waiting') return { event: 'connection', state: status.kind };
  const { ms, error } = status;
  const why = error && { reason: error.reason || error.code };
  return { event: 'connection', state: 'waiting', retry_ms: Math.round(ms), ...why };
}
