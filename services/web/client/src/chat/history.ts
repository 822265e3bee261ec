// What a device remembers of its conversations, line by line, sealed like all of its state.
import type { AttachmentDescriptor } from '../attachments/descriptor.ts';
import { fromJsonBytes, toJsonBytes } from '../base/bytes.ts';
import type { ConversationsHandler, DeviceLogFault } from '../conversations/events.ts';
import { groupOf } from '../conversations/records.ts';
import type { Reader, Standing } from '../conversations/records.ts';
import type { E2eeEngine } from '../engine/engine.ts';
import { ConversationState } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { Conversation } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { SealedStore, Transaction } from '../store/sealed_store.ts';

/** How the devices that can read compare with those of the day when people compared the number. */
export type Compared = 'never' | 'same-devices' | 'other-devices';

interface When {
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** What was said, or was to be said. */
interface Said extends When {
  readonly text: string;
  /** Files that go with it, with their keys: they are shown to nobody. */
  readonly attachments?: readonly AttachmentDescriptor[];
}

/** Something that somebody said. */
export interface MessageLine extends Said {
  readonly kind: 'message';
  /** Its place in the conversation. */
  readonly sequence: string;
  /** Its id. */
  readonly message: string;
  readonly sender: string;
  readonly device: string;
}

/** What this device said, at its place. */
export interface SentLine extends Said {
  readonly kind: 'sent';
  readonly sequence: string;
  readonly message: string;
}

/** What this device said and the server will never take. */
export interface RefusedLine extends Said {
  readonly kind: 'refused';
  readonly message: string;
  readonly reason: string;
}

export interface UnreadableLine extends When {
  readonly kind: 'unreadable';
  readonly sequence: string;
  readonly sender: string;
  /** As UnreadableReason. */
  readonly reason: string;
}

/** Places that never came here. */
export interface GapLine extends When {
  readonly kind: 'gap';
  readonly first: string;
  readonly last: string;
}

/** It was opened or closed. */
export interface StateLine extends When {
  readonly kind: 'conversation';
  readonly state: 'open' | 'closed';
}

/** Somebody in it has other devices than before, as their device log says. */
export interface MemberDevicesLine extends When {
  readonly kind: 'member-devices';
  readonly member: string;
  /** Since when: milliseconds since 1970. */
  readonly since: number;
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Somebody's device log is not the one that was read before. */
export interface BrokenLogLine extends When {
  readonly kind: 'device-log-broken';
  readonly member: string;
  readonly fault: DeviceLogFault;
}

/** Something that happened in a conversation, as this device saw it. */
export type Line =
  | MessageLine
  | SentLine
  | RefusedLine
  | UnreadableLine
  | GapLine
  | GroupLine
  | MemberDevicesLine
  | BrokenLogLine
  | StateLine;

/** Who can read has changed, or with which keys. */
export interface GroupLine extends When {
  readonly kind: 'devices';
  readonly standing: Standing;
  /** This device could not read before. */
  readonly begun: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** How many can read. */
  readonly count: number;
  readonly verification?: string;
  readonly compared: Compared;
}

/** A line with its number in this device's own count, from 1. */
export type Numbered = Line & { readonly number: number };

/** What people have compared. */
export interface ComparedRecord extends When {
  readonly devices: readonly string[];
  readonly verification: string;
}

interface GroupSeen {
  readonly devices: readonly string[];
  readonly standing: Standing;
}

interface KnownConversation {
  readonly members: readonly string[];
  readonly state: 'open' | 'closed';
}

/** What became of a message of this device: its place, or why it was refused. */
export type Fate = { readonly sequence: string } | { readonly refused: string };

/** So many lines of a conversation are kept; the oldest go. */
export const MAX_LINES = 10_000;

const LINE = 'talk/line/';
const COUNT = 'talk/count/';
const SHOWN = 'talk/shown/';
const GROUP = 'talk/group/';
const COMPARED = 'talk/compared/';
const KNOWN = 'talk/conversation/';
const FATE = 'talk/fate/';

/** With the conversation: a caller may use an id of its own in several. */
const fateName = (conversation: string, message: string) => `${FATE}${conversation}/${message}`;

const lineName = (conversation: string, number: number) =>
  `${LINE}${conversation}/${String(number).padStart(12, '0')}`;

async function read<T>(from: Reader, name: string): Promise<T | undefined> {
  const bytes = await from.get(name);
  return bytes === undefined ? undefined : fromJsonBytes<T>(bytes);
}

/** What of a message is kept in its line, and nothing beside it. */
function saidIn({ text, attachments }: Omit<Said, 'time'>): Omit<Said, 'time'> {
  return { text, ...(attachments && { attachments }) };
}

/** The files of a line, with their keys. */
export function attachmentsOf(line: Line): readonly AttachmentDescriptor[] {
  return ('attachments' in line && line.attachments) || [];
}

export interface HistoryOptions {
  readonly store: SealedStore;
  readonly engine: Pick<E2eeEngine, 'view' | 'authenticator'>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Something was written, or is just about to be. */
  readonly onNews?: () => void;
}

/** The lines of all conversations of a device. Any number of programs may read and write them. */
export class History {
  private readonly store: SealedStore;
  private readonly engine: HistoryOptions['engine'];
  private readonly now: () => number;
  private readonly onNews: () => void;

  constructor({ store, engine, now = Date.now, onNews = () => {} }: HistoryOptions) {
    this.store = store;
    this.engine = engine;
    this.now = now;
    this.onNews = onNews;
  }

  /** Writes down what comes, in the transaction that makes it final. For Conversations. */
  readonly handler: ConversationsHandler = {
    message: async (transaction, { conversation, sequence, messageId, senderDevice, ...said }) => {
      const place = { sequence: sequence.toString(), message: messageId };
      const from = { sender: said.sender, device: senderDevice };
      const what = { ...saidIn(said), time: said.time };
      await this.append(transaction, conversation, { kind: 'message', ...place, ...from, ...what });
    },
    sent: async (transaction, { conversation, sequence, messageId, ...said }) => {
      const place = { sequence: sequence.toString(), message: messageId };
      const what = { ...saidIn(said), time: this.now() };
      const fate: Fate = { sequence: place.sequence };
      transaction.put(fateName(conversation, messageId), toJsonBytes(fate));
      await this.append(transaction, conversation, { kind: 'sent', ...place, ...what });
    },
    refused: async (transaction, { conversation, messageId, reason, ...said }) => {
      const what = { ...saidIn(said), reason, time: this.now() };
      const fate: Fate = { refused: reason };
      transaction.put(fateName(conversation, messageId), toJsonBytes(fate));
      const line: Line = { kind: 'refused', message: messageId, ...what };
      await this.append(transaction, conversation, line);
    },
    unreadable: async (transaction, { envelope, reason }) => {
      const { conversation, sequence, sender } = envelope;
      const place = { sequence: sequence.toString(), sender };
      const line: Line = { kind: 'unreadable', ...place, reason, time: this.now() };
      await this.append(transaction, conversation, line);
    },
    gap: async (transaction, { conversation, firstSequence, lastSequence }) => {
      const missing = { first: firstSequence.toString(), last: lastSequence.toString() };
      await this.append(transaction, conversation, { kind: 'gap', ...missing, time: this.now() });
    },
    groupChanged: (transaction, conversation) => this.groupChanged(transaction, conversation),
    devicesChanged: (transaction, { member, since, added, removed }) => {
      const line: Line = { kind: 'member-devices', member, since, added, removed, time: this.now() };
      return this.appendWhere(transaction, member, line);
    },
    deviceLogBroken: (transaction, { member, fault }) => {
      const line: Line = { kind: 'device-log-broken', member, fault, time: this.now() };
      return this.appendWhere(transaction, member, line);
    },
    conversationChanged: (conversation) => this.noteConversation(conversation),
  };

  /** Remembers what the server says of a conversation; a line when it was opened or closed. */
  async noteConversation({ name, members, state }: Conversation): Promise<void> {
    const now: KnownConversation = {
      members,
      state: state === ConversationState.CLOSED ? 'closed' : 'open',
    };
    await this.store.transact(async (transaction) => {
      const before = await read<KnownConversation>(transaction, KNOWN + name);
      if (before?.state === now.state && before.members.join() === now.members.join()) return;
      transaction.put(KNOWN + name, toJsonBytes(now));
      const changed = before !== undefined && before.state !== now.state;
      if (!changed && now.state === 'open') return;
      const line: Line = { kind: 'conversation', state: now.state, time: this.now() };
      await this.append(transaction, name, line);
    });
  }

  /** The names of the conversations of which anything is known. */
  async conversations(): Promise<string[]> {
    const counted = (await this.store.list(COUNT)).map((name) => name.slice(COUNT.length));
    const known = (await this.store.list(KNOWN)).map((name) => name.slice(KNOWN.length));
    return [...new Set([...known, ...counted])].sort();
  }

  /** What was known of it last. */
  known(conversation: string): Promise<KnownConversation | undefined> {
    return read(this.store, KNOWN + conversation);
  }

  /** The number of the newest line; 0 when there is none. */
  async count(conversation: string): Promise<number> {
    return (await read<number>(this.store, COUNT + conversation)) ?? 0;
  }

  /** The lines that follow a number, in order. */
  async after(conversation: string, number: number): Promise<Numbered[]> {
    const newest = await this.count(conversation);
    const lines: Numbered[] = [];
    for (let at = Math.max(number, newest - MAX_LINES) + 1; at <= newest; ++at) {
      const line = await read<Line>(this.store, lineName(conversation, at));
      if (line !== undefined) lines.push({ ...line, number: at });
    }
    return lines;
  }

  /** The number of the last line that was shown to the person. */
  async shown(conversation: string): Promise<number> {
    return (await read<number>(this.store, SHOWN + conversation)) ?? 0;
  }

  markShown(conversation: string, number: number): Promise<void> {
    return this.store.transact(async (transaction) => {
      const before = (await read<number>(transaction, SHOWN + conversation)) ?? 0;
      if (number > before) transaction.put(SHOWN + conversation, toJsonBytes(number));
    });
  }

  /** Undefined while it is not final, and for what this device never said there. */
  async fate(conversation: string, message: string): Promise<Fate | undefined> {
    const fate = await read<Fate>(this.store, fateName(conversation, message));
    // As it was kept before the conversation went with it.
    return fate ?? read(this.store, FATE + message);
  }

  /** People have compared the number of this moment and found it equal. */
  markCompared(conversation: string, compared: Omit<ComparedRecord, 'time'>): Promise<void> {
    const record: ComparedRecord = { ...compared, time: this.now() };
    return this.store.transact(async (transaction) =>
      transaction.put(COMPARED + conversation, toJsonBytes(record)),
    );
  }

  lastCompared(conversation: string): Promise<ComparedRecord | undefined> {
    return read(this.store, COMPARED + conversation);
  }

  private async groupChanged(transaction: Transaction, conversation: string): Promise<void> {
    const group = await groupOf(transaction, conversation);
    if (group === undefined) return;
    const { standing, state } = group;
    const before = await read<GroupSeen>(transaction, GROUP + conversation);
    const known = before?.devices ?? [];
    const readers = standing === 'in' ? this.engine.view(state).members : [];
    const devices = readers.map(({ device }) => device).sort();
    // What it knew before stays known while it is out, so that it sees what changed meanwhile.
    const seen: GroupSeen = { standing, devices: standing === 'in' ? devices : known };
    transaction.put(GROUP + conversation, toJsonBytes(seen));
    const compared = await read<ComparedRecord>(transaction, COMPARED + conversation);
    const alike = compared?.devices.join() === devices.join() ? 'same-devices' : 'other-devices';
    await this.append(transaction, conversation, {
      kind: 'devices',
      standing,
      begun: standing === 'in' && before?.standing !== 'in',
      added: devices.filter((device) => !known.includes(device)),
      removed: standing === 'in' ? known.filter((device) => !devices.includes(device)) : [],
      count: devices.length,
      ...(standing === 'in' && { verification: await this.engine.authenticator(state) }),
      compared: compared === undefined ? 'never' : alike,
      time: this.now(),
    });
  }

  /** A line in each open conversation in which the member is. */
  private async appendWhere(transaction: Transaction, member: string, line: Line): Promise<void> {
    for (const name of await this.store.list(KNOWN)) {
      const known = await read<KnownConversation>(transaction, name);
      if (known?.state !== 'open' || !known.members.includes(member)) continue;
      await this.append(transaction, name.slice(KNOWN.length), line);
    }
  }

  private async append(transaction: Transaction, conversation: string, line: Line): Promise<void> {
    const number = ((await read<number>(transaction, COUNT + conversation)) ?? 0) + 1;
    transaction.put(COUNT + conversation, toJsonBytes(number));
    transaction.put(lineName(conversation, number), toJsonBytes(line));
    if (number > MAX_LINES) await this.forget(transaction, conversation, number - MAX_LINES);
    this.onNews();
  }

  private async forget(transaction: Transaction, conversation: string, at: number): Promise<void> {
    const line = await read<Line>(transaction, lineName(conversation, at));
    if (line === undefined) return;
    transaction.delete(lineName(conversation, at));
    if (line.kind !== 'sent' && line.kind !== 'refused') return;
    transaction.delete(fateName(conversation, line.message));
    transaction.delete(FATE + line.message);
  }
}
