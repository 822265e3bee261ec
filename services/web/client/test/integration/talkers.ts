// Devices that talk: an app that keeps what it hears in its store.
import { execFileSync } from 'node:child_process';

import { inject, onTestFinished } from 'vitest';

import { Conversations, DeviceTrust, KeyPackages, TsMlsEngine } from '../../src/index.ts';
import { SealedStore, Session, newRequestId, proveDevice } from '../../src/index.ts';
import type { ConversationsHandler, ConversationsOptions } from '../../src/index.ts';
import { deviceIdentity } from '../../src/index.ts';
import type { Endpoints } from '../../src/node.ts';
import { until } from '../support/until.ts';
import { newDevice, openStore, pair, patiently, temporaryFolder, transportTo } from './people.ts';
import type { Device } from './people.ts';

const QUICK = { firstMs: 20, capMs: 200 };
const utf8 = new TextEncoder();

/** Every line under its place, written in the transaction that moved the cursor. */
const keeping: ConversationsHandler = {
  message: async (transaction, { conversation, sequence, text, senderDevice }) => {
    const name = lineName(conversation, sequence);
    if ((await transaction.get(name)) !== undefined) throw new Error(`${name} came twice`);
    if (!senderDevice.startsWith('devices/')) throw new Error('nobody said it');
    transaction.put(name, utf8.encode(text));
  },
  sent: async (transaction, { conversation, sequence, text }) => {
    const name = lineName(conversation, sequence);
    if ((await transaction.get(name)) !== undefined) throw new Error(`${name} came twice`);
    transaction.put(name, utf8.encode(text));
  },
  refused: async (transaction, { text, messageId, reason }) => {
    transaction.put(`refused/${messageId}`, utf8.encode(`${text} (${reason})`));
  },
  unreadable: async (transaction, { envelope, reason }) => {
    const name = lineName(envelope.conversation, envelope.sequence);
    transaction.put(name, utf8.encode(`(${reason})`));
  },
};

const lineName = (conversation: string, sequence: bigint) =>
  `line/${conversation}/${String(sequence).padStart(8, '0')}`;

/** What a device has on its screen, in order; of one conversation, where one is named. */
export async function linesOf(
  { store }: { store: SealedStore },
  conversation?: string,
): Promise<string[]> {
  const lines = [];
  for (const name of await store.list(conversation ? `line/${conversation}/` : 'line/')) {
    lines.push(new TextDecoder().decode(await store.get(name)));
  }
  return lines;
}

/** What it was told will never be sent. */
export async function refusedOf({ store }: { store: SealedStore }): Promise<string[]> {
  const names = await store.list('refused/');
  return Promise.all(names.map(async (name) => new TextDecoder().decode(await store.get(name))));
}

export interface Talker extends Device {
  readonly conversations: Conversations;
  readonly problems: Error[];
  /** Receives from now on. */
  run(): void;
  /** Ends what runs. */
  stop(): Promise<void>;
}

/** The app of a device that is signed in. */
export async function talker(
  device: Device,
  more: Partial<ConversationsOptions> = {},
): Promise<Talker> {
  const { session, store } = device;
  const problems: Error[] = [];
  const trust = new DeviceTrust(store, session.deviceKey);
  const engine = await TsMlsEngine.create({ verifyDevice: trust.verify });
  const { deviceKey } = session;
  const keyPackages = new KeyPackages({ transport: session, store, engine, deviceKey, target: 4 });
  await keyPackages.refill();
  const conversations = new Conversations({
    session,
    store,
    engine,
    keyPackages,
    handler: keeping,
    backoff: QUICK,
    onProblem: (error) => problems.push(error),
    checkMs: 500,
    // Tests that are about it say so.
    replenishMs: 3_600_000,
    ...more,
  });
  const stopping = new AbortController();
  let running: Promise<unknown> | undefined;
  const stop = async () => {
    stopping.abort();
    await running;
  };
  onTestFinished(async () => stop().catch(() => {}));
  const run = () => {
    running = conversations.run(stopping.signal);
    running.catch((error: unknown) => problems.push(error as Error));
  };
  return { ...device, conversations, problems, run, stop };
}

/** Another device of the same person. */
export async function anotherDevice(
  { session }: Device,
  endpoints: Partial<Endpoints> = {},
): Promise<Device> {
  const folder = temporaryFolder();
  const store = await openStore(folder);
  const transport = transportTo(endpoints);
  const identity = await deviceIdentity(store);
  const proof = await patiently(() => proveDevice(transport, identity));
  await patiently(() => session.addDevice(proof, newRequestId()));
  return { folder, store, session: await patiently(() => Session.signIn(transport, store)) };
}

/** The app of a device, opened again as after a crash. */
export async function reopened(
  { folder }: { readonly folder: string },
  more: Partial<ConversationsOptions> = {},
): Promise<Talker> {
  const store = await openStore(folder);
  const transport = transportTo();
  const session = await patiently(() => Session.signIn(transport, store));
  return talker({ folder, store, session }, more);
}

/** A device's session through which each call goes by way of `step`. */
export function passing(
  { session }: Device,
  step: (method: string, call: () => Promise<unknown>) => Promise<unknown>,
): Device['session'] {
  const passed = Object.create(session) as Device['session'];
  passed.unary = ((method, request, options) =>
    step(method.name, () => session.unary(method, request, options))) as typeof session.unary;
  return passed;
}

const LANGUAGES = ['cs', 'da', 'fi', 'hu', 'it', 'nl', 'pl', 'ro', 'sv', 'tr', 'el', 'hr', 'is'];
let pairs = 0;

/**
 * A newcomer and a sponsor with one device each. A language comes again only when the sponsor who
 * spoke it before has somebody.
 */
export async function twoPeople(): Promise<{ ann: Device; bob: Device; conversation: string }> {
  const [ann, bob] = await Promise.all([newDevice(), newDevice()]);
  const language = LANGUAGES[pairs++ % LANGUAGES.length] ?? '';
  return { ann, bob, conversation: await pair(ann, bob, language) };
}

/** Somebody new whom this newcomer now is the sponsor of. */
export async function oneMore(sponsor: Device): Promise<{ eve: Device; conversation: string }> {
  const eve = await newDevice();
  const language = LANGUAGES[pairs++ % LANGUAGES.length] ?? '';
  return { eve, conversation: await pair(sponsor, eve, language) };
}

/** Waits until every device has these lines on its screen. */
export async function allHave(talkers: readonly Talker[], lines: readonly string[]): Promise<void> {
  const wanted = JSON.stringify(lines);
  let last = '';
  for (const one of talkers) {
    await until(`${wanted}, not ${last}`, 20, async () => {
      last = JSON.stringify(await linesOf(one));
      return last === wanted;
    }).catch((error: unknown) => {
      const problems = one.problems.slice(0, 5).map(({ message }) => message).join('; ');
      throw new Error(`${wanted} did not come, but ${last} (${problems})`, { cause: error });
    });
  }
}

/** Ends this deployment's messaging process; `handrail up` starts it again. */
export const killMessaging = (): Promise<void> => killService('messaging');

/** Ends a process of this deployment; `handrail up` starts it again. */
export async function killService(service: 'profiles' | 'messaging'): Promise<void> {
  const folder = inject('folder');
  // It may have been killed just before, and not be there again yet.
  const found = await until(`${service} to run`, 20, () =>
    execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .find((line) => line.includes(`handrail_${service}`) && line.includes(folder)),
  );
  process.kill(Number.parseInt(found, 10), 'SIGKILL');
}
