import { Attachments } from '../attachments/attachments.ts';
import { Conversations } from '../conversations/conversations.ts';
import type { ConversationsOptions } from '../conversations/conversations.ts';
import { DeviceTrust } from '../conversations/device_trust.ts';
import { outboxOf } from '../conversations/records.ts';
import { TsMlsEngine } from '../engine/index.ts';
import type { E2eeEngine } from '../engine/index.ts';
import { ConversationState, MessagingService } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import type { Conversation } from '../gen/handrail/messaging/v1/messaging_pb.ts';
import { KeyPackages } from '../keys/key_packages.ts';
import { deviceIdentity } from '../session/device.ts';
import type { Session } from '../session/session.ts';
import { FileStore } from '../store/file_store.ts';
import { SealedStore } from '../store/sealed_store.ts';
import { fullJitterMs, sleep } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';
import type { CommandLine, Environment } from './command_line.ts';
import { EXIT, Fault, Interrupted, faultOf, mayPass, usageFault } from './faults.ts';
import { People } from './feed.ts';
import { History } from './history.ts';
import type { Output } from './output.ts';
import { passphraseFrom } from './passphrase.ts';
import { choosePlace, prepareStateFolder, transportTo } from './place.ts';
import { SignedIn } from './signed_in.ts';

/** What every command has at hand. */
export interface Setting {
  readonly line: CommandLine;
  readonly output: Output;
  readonly environment: Environment;
  /** Ctrl-C, or a polite end from outside. */
  readonly signal: AbortSignal;
}

const PAUSE = { firstMs: 400, capMs: 5_000 };
/** A message is at the server by then; that it is shown in its place is for the eye. */
const ECHO_MS = 5_000;
const ECHO_LOOK_MS = 20;
const PAGE_SIZE = 100;
const MAX_PAGES = 100;

/** Unlocks the state of this device; `make` where there is none. Fault, SealError, StoreError. */
export async function openState(
  { line, environment }: Setting,
  make: boolean,
): Promise<SealedStore> {
  await prepareStateFolder(line.state, make);
  const files = await FileStore.open(line.state);
  const there = await SealedStore.exists(files);
  const variable = environment['HANDRAIL_PASSPHRASE'];
  const source = { file: line.passphraseFile, variable, fresh: !there };
  const passphrase = await passphraseFrom(source);
  return there ? SealedStore.unlock(files, passphrase) : SealedStore.create(files, passphrase);
}

/** Repeats a call as long as it may pass and the person wants to wait. */
export async function patiently<T>(setting: Setting, call: () => Promise<T>): Promise<T> {
  const { line, output, signal } = setting;
  const giveUp = Date.now() + line.waitMs;
  for (let failures = 1; ; ++failures) {
    try {
      return await orStopped(call(), signal);
    } catch (error) {
      const left = giveUp - Date.now();
      if (!mayPass(error) || left <= 0) throw error;
      const asked = error instanceof HandrailError ? (error.retryAfterMs ?? 0) : 0;
      const { message, reason } = faultOf(error);
      if (failures === 1) output.note({ event: 'waiting', reason }, `${message} Trying again …`);
      await sleep(Math.min(left, asked + fullJitterMs(failures, PAUSE, Math.random)), signal);
    }
  }
}

/** What was begun, or Interrupted when the signal came first. */
export async function orStopped<T>(begun: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new Interrupted());
  });
  stopped.catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([begun, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
    begun.catch(() => {});
  }
}

/** A device of somebody, with its conversations: what the commands work on. */
export class Chat {
  private readonly made: Conversations[] = [];

  private constructor(
    readonly setting: Setting,
    readonly store: SealedStore,
    readonly transport: SignedIn,
    readonly member: string,
    readonly engine: E2eeEngine,
    readonly history: History,
    readonly people: People,
    private readonly news: { onNews: () => void },
  ) {}

  /** For a device that is somebody's. Signs in when that is first needed. */
  static async open(setting: Setting): Promise<Chat> {
    return Chat.over(setting, await openState(setting, false));
  }

  /** The same, on a store that is open, with a session where there is one. */
  static async over(setting: Setting, store: SealedStore, session?: Session): Promise<Chat> {
    const { device, member, publicKey, privateKey } = await deviceIdentity(store);
    if (device === undefined || member === undefined) {
      throw new Fault(
        EXIT.locked,
        'This device is not anybody’s yet.',
        'Go on where you stopped: handrail-chat new, or handrail-chat join',
        'NO_DEVICE',
      );
    }
    const place = await choosePlace(store, setting.line.place);
    const deviceKey = { device, publicKey, privateKey };
    const transport = new SignedIn(() => transportTo(place), store, deviceKey, session);
    const trust = new DeviceTrust(store, deviceKey);
    const engine = await TsMlsEngine.create({ verifyDevice: trust.verify });
    const news = { onNews: () => {} };
    const history = new History({ store, engine, onNews: () => news.onNews() });
    const people = new People(transport, history, { device, member });
    return new Chat(setting, store, transport, member, engine, history, people, news);
  }

  get device(): string {
    return this.transport.deviceKey.device;
  }

  get keyPackages(): KeyPackages {
    const { store, engine, transport } = this;
    return new KeyPackages({ transport, store, engine, deviceKey: transport.deviceKey });
  }

  get attachments(): Attachments {
    const { store, transport } = this;
    return new Attachments({ transport, store });
  }

  /** Whom to tell when something was written into the history. */
  set onNews(onNews: () => void) {
    this.news.onNews = onNews;
  }

  conversations(
    more: Pick<ConversationsOptions, 'onStatus' | 'onProblem' | 'checkMs'> = {},
  ): Conversations {
    const { store, engine, history, transport, keyPackages } = this;
    const { handler } = history;
    const session = transport;
    const made = new Conversations({ session, store, engine, keyPackages, handler, ...more });
    this.made.push(made);
    return made;
  }

  /** All conversations as the server has them, newest first; they are remembered. */
  async listConversations(): Promise<Conversation[]> {
    const all: Conversation[] = [];
    let pageToken = '';
    for (let page = 0; page < MAX_PAGES; ++page) {
      const answer = await this.transport.unary(MessagingService.method.listConversations, {
        pageSize: PAGE_SIZE,
        pageToken,
      });
      all.push(...answer.conversations);
      pageToken = answer.nextPageToken;
      if (pageToken === '') break;
    }
    for (const one of all) await this.history.noteConversation(one);
    return all;
  }

  /** The conversation that is meant: by its name, the first letters of it, or the only open one. */
  async theConversation(): Promise<string> {
    const { what } = this.setting.line;
    if (what !== undefined && /^conversations\/[0-9a-f]{32}$/.test(what)) return what;
    const begin = what?.replace(/^conversations\//, '') ?? '';
    if (what !== undefined && !/^[0-9a-f]{4,32}$/.test(begin)) {
      const todo = 'See: handrail-chat conversations. The first four letters or more are enough.';
      throw usageFault(`"${what}" is no name of a conversation.`, todo);
    }
    const known = await this.namesHere(what === undefined);
    let names = known;
    try {
      names = await this.namesThere(what === undefined);
    } catch (error) {
      if (!mayPass(error)) throw error;
      // While the server is away, what is known here has to do.
      if (fitting(known, begin).length !== 1) {
        names = await patiently(this.setting, () => this.namesThere(what === undefined));
      }
    }
    return onlyOne(fitting(names, begin), what);
  }

  /** Those that this device knows of. */
  async namesHere(openOnly: boolean): Promise<string[]> {
    const names: string[] = [];
    for (const name of await this.history.conversations()) {
      const state = (await this.history.known(name))?.state;
      if (!openOnly || state !== 'closed') names.push(name);
    }
    return names;
  }

  /** Whether something that this device said has no place yet. */
  async waits(conversation: string): Promise<boolean> {
    const entries = await outboxOf(this.store, conversation);
    return entries.some(({ sequence }) => sequence === undefined);
  }

  /** Sends what waits until all of it has its place, or the person waits no longer. */
  async deliver(
    conversations: Conversations,
    conversation: string,
    signal = this.setting.signal,
  ): Promise<void> {
    await patiently({ ...this.setting, signal }, async () => {
      await conversations.flush(conversation);
      if (!(await this.waits(conversation))) return;
      const message = 'the conversation has not begun';
      throw new HandrailError({ code: 'UNAVAILABLE', message });
    });
  }

  /** Waits until what was said has come back in its place, where something receives. */
  async echoed(conversation: string, signal: AbortSignal): Promise<void> {
    const giveUp = Date.now() + ECHO_MS;
    while (!signal.aborted && Date.now() < giveUp) {
      if ((await outboxOf(this.store, conversation)).length === 0) return;
      await sleep(ECHO_LOOK_MS, signal);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.made.map((conversations) => conversations.close()));
    this.transport.close();
    await this.store.close();
  }

  private async namesThere(openOnly: boolean): Promise<string[]> {
    return (await this.listConversations())
      .filter(({ state }) => !openOnly || state === ConversationState.OPEN)
      .map(({ name }) => name);
  }
}

const fitting = (names: readonly string[], begin: string) =>
  names.filter((name) => name.startsWith(`conversations/${begin}`));

/** The only one, or a Fault that says what there is. */
export function onlyOne(names: readonly string[], what: string | undefined): string {
  const [name] = names;
  if (name !== undefined && names.length === 1) return name;
  if (names.length > 1) {
    const list = names.map((one) => `\n  ${one}`).join('');
    throw usageFault('There are several conversations. Which one?', `Name one of:${list}`);
  }
  const message =
    what === undefined
      ? 'There is no open conversation yet.'
      : `There is no conversation that begins with ${what}.`;
  const todo =
    'A conversation comes with a pairing: when a sponsor has accepted (handrail match, handrail ' +
    'offers); or by handrail-chat group and accept. See: handrail-chat conversations';
  throw new Fault(EXIT.failed, message, todo, 'NO_CONVERSATION');
}
