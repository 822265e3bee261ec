// Devices that talk through a fault proxy over three replicas while these, PostgreSQL and Redis are
// killed, and connections break in every way; then everything comes to rest, and what is stored is
// held against what the devices were told and have heard.
import { MessagingService } from '../../src/api.ts';
import { seededRandom } from '../devices.ts';
import { linesOf } from '../integration/talkers.ts';
import type { Talker } from '../integration/talkers.ts';
import { FaultProxy } from '../support/fault_proxy.ts';
import { insist, until } from '../support/until.ts';
import { findingsIn } from './chat_ledger.ts';
import { Chatter } from './chatter.ts';
import type { Log, Place } from './chatter.ts';
import { anotherClient, newClient, several } from './clients.ts';
import type { Client } from './clients.ts';
import type { Deployment } from './deployment.ts';
import { Faults } from './faults.ts';

export interface FaultRunOptions {
  readonly faults: number;
  /** Acknowledged ones; both must be reached. */
  readonly messages: number;
  readonly seed: number;
  /** Of two people with two devices each. */
  readonly conversations: number;
  readonly limitMs: number;
  /** Devices that talk end to end encrypted, in a conversation of their own. */
  readonly encrypted: (proxy: FaultProxy) => Promise<Encrypted>;
  readonly say: (text: string) => void;
}

export interface Encrypted {
  readonly conversation: string;
  readonly talkers: readonly Talker[];
}

export interface FaultRunReport extends Readonly<Log> {
  readonly faults: number;
  /** How many there are. */
  readonly kinds: number;
  readonly byKind: ReadonlyMap<string, number>;
  /** Sorted. */
  readonly recoveriesMs: readonly number[];
  readonly encrypted: number;
  readonly seconds: number;
}

const QUIET_SECONDS = 240;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class FaultRun {
  private readonly log: Log = { findings: [], acknowledged: 0, repeated: 0, heard: 0 };
  private readonly random: () => number;
  private readonly byKind = new Map<string, number>();
  private readonly recoveriesMs: number[] = [];
  private chatters: Chatter[] = [];
  private observers: Client[] = [];
  private readonly saidEncrypted: string[] = [];
  private kinds = 0;
  private talking = true;

  constructor(
    private readonly deployment: Deployment,
    private readonly options: FaultRunOptions,
  ) {
    this.random = seededRandom(options.seed);
  }

  async run(): Promise<FaultRunReport> {
    const since = Date.now();
    const { replicas } = this.deployment;
    const proxy = await FaultProxy.to(...replicas.map(({ address }) => address));
    for (const { address } of replicas) {
      this.observers.push(await newClient(this.deployment, address));
    }
    const conversations = await several(this.options.conversations, 4, (i) => this.bring(i, proxy));
    this.chatters = conversations.flat();
    const encrypted = await this.options.encrypted(proxy);
    this.options.say(`${this.chatters.length + encrypted.talkers.length} devices are there`);
    const talks = [...this.chatters.map((one) => this.talk(one)), this.talkEncrypted(encrypted)];
    await this.befall(proxy);
    this.talking = false;
    await Promise.all(talks);
    this.options.say('all was said; it comes to rest');
    proxy.cut();
    await this.comeToRest(conversations, encrypted);
    await Promise.all(this.chatters.map((one) => one.stop()));
    for (const { session } of this.observers) session.close();
    await proxy.close();
    return {
      ...this.log,
      faults: this.recoveriesMs.length,
      kinds: this.kinds,
      byKind: this.byKind,
      recoveriesMs: this.recoveriesMs.sort((a, b) => a - b),
      encrypted: this.saidEncrypted.length,
      seconds: Math.round((Date.now() - since) / 1000),
    };
  }

  /** Two people with two devices each, all of which hear from the first message on. */
  private async bring(index: number, { endpoint }: FaultProxy): Promise<Chatter[]> {
    const phones: Client[] = [];
    const devices: Client[] = [];
    for (let i = 0; i < 2; ++i) {
      const phone = await newClient(this.deployment, endpoint);
      phones.push(phone);
      devices.push(phone, await anotherClient(this.deployment, endpoint, phone));
    }
    const [ann, bob] = phones.map(({ session }) => session.member);
    const conversation = await this.deployment.open([ann!, bob!]);
    for (const { session } of devices) {
      await until('messaging to know a device', 60, () =>
        session
          .unary(MessagingService.method.getConversation, { name: conversation })
          .catch(() => undefined),
      );
    }
    const { log, random } = this;
    return devices.map((client, i) => {
      const name = `device ${index}.${i}`;
      return new Chatter({ client, conversation, name, log, random });
    });
  }

  private async talk(chatter: Chatter): Promise<void> {
    while (this.talking) await chatter.say();
  }

  private async talkEncrypted({ conversation, talkers }: Encrypted): Promise<void> {
    for (let i = 0; this.talking; ++i) {
      const who = i % talkers.length;
      const text = `device ${who} line ${i}`;
      await talkers[who]!.conversations.send(conversation, text);
      this.saidEncrypted.push(text);
      if (i % 20 === 19) {
        // Whatever becomes of it: the next one, or a look of the library's own, goes on with it.
        await talkers[who]!.conversations.refreshKeys(conversation).catch(() => {});
      }
      await sleep(300);
    }
  }

  /** Faults come spread over the messages, so that each meets work under way. */
  private async befall(proxy: FaultProxy): Promise<void> {
    const { faults: wanted, messages, limitMs, say } = this.options;
    const faults = new Faults(this.deployment, proxy, this.observers, this.random);
    this.kinds = faults.kinds;
    const giveUp = Date.now() + limitMs;
    const step = messages / wanted;
    const { log, recoveriesMs } = this;
    while (recoveriesMs.length < wanted || log.acknowledged < messages) {
      if (Date.now() > giveUp) {
        say(`time is over: ${recoveriesMs.length} faults, ${log.acknowledged} messages`);
        return;
      }
      await sleep(20);
      if (recoveriesMs.length >= wanted || log.acknowledged < step * recoveriesMs.length) continue;
      const { kind, recoveryMs } = await faults.next();
      recoveriesMs.push(recoveryMs);
      this.byKind.set(kind, (this.byKind.get(kind) ?? 0) + 1);
      if (recoveriesMs.length % 20 === 0) {
        say(`${recoveriesMs.length} faults, ${log.acknowledged} messages acknowledged`);
      }
    }
  }

  private async comeToRest(
    conversations: readonly (readonly Chatter[])[],
    encrypted: Encrypted,
  ): Promise<void> {
    await this.deployment.ready();
    for (const devices of conversations) {
      const name = devices[0]!.conversation;
      const stored = await this.stored(name);
      const head = BigInt(stored.length);
      await until(`all devices to hear message ${head}`, QUIET_SECONDS, () =>
        devices.every(({ last }) => last >= head),
      ).catch(() => {}); // said below, device by device
      this.log.findings.push(...findingsIn({ name, stored, devices }));
    }
    await this.checkEncrypted(encrypted);
    const violations = await this.deployment.violations();
    if (violations !== '') this.log.findings.push(violations);
  }

  /** A conversation as SQL has it, whatever a client would be told. */
  private async stored(conversation: string): Promise<Place[]> {
    const rows = await this.deployment.postgres.query(
      'messaging',
      "SELECT m.sequence, encode(m.message_id, 'hex') FROM messages m JOIN conversations c" +
        ' ON c.conversation_key = m.conversation_key' +
        ` WHERE c.conversation_id = decode('${conversation.split('/')[1]}', 'hex')` +
        ' ORDER BY m.sequence',
    );
    return rows.map(([sequence = '', messageId = '']) => ({
      sequence: BigInt(sequence),
      messageId,
    }));
  }

  private async checkEncrypted({ conversation, talkers }: Encrypted): Promise<void> {
    const { findings } = this.log;
    const wanted = this.saidEncrypted.length;
    const digits = new Set<string | undefined>();
    for (const one of talkers) {
      await insist('what waits to be sent', () =>
        one.conversations.flush(conversation).then(() => true),
      ).catch((error: unknown) => findings.push(`encrypted: ${error}`));
    }
    for (const [i, one] of talkers.entries()) {
      const heard = async () => (await linesOf(one, conversation)).length >= wanted;
      await until('all lines', QUIET_SECONDS, heard).catch(() => {});
      const lines = await linesOf(one, conversation);
      if (lines.join('\n') !== (await linesOf(talkers[0]!, conversation)).join('\n')) {
        findings.push(`encrypted: device ${i} has other lines than the first`);
      }
      const told = new Set(lines);
      const lost = this.saidEncrypted.filter((text) => !told.has(text));
      if (lines.length !== wanted || lost.length > 0) {
        findings.push(`encrypted: device ${i} has ${lines.length} of ${wanted} lines; ${lost[0]}`);
      }
      await one.stop();
      await one.conversations.fetch(conversation);
      digits.add(await one.conversations.authenticator(conversation));
    }
    if (digits.size !== 1) findings.push('encrypted: the devices are not in one epoch');
  }
}
