// What the tests call in a page: the library as an app's page would hold it.
import { ed25519 } from '@noble/curves/ed25519.js';

import { MessagingService } from '../../src/api.ts';
import { IndexedDbStore, createBrowserTransport } from '../../src/browser.ts';
import {
  Attachments,
  Conversations,
  DeviceTrust,
  HandrailError,
  Inbox,
  KeyPackages,
  SealError,
  SealedStore,
  Session,
  TsMlsEngine,
  blobSource,
} from '../../src/index.ts';
import type { DeviceKey, Transaction } from '../../src/index.ts';
import { STORE_CASES } from '../support/store_cases.ts';
import { threeTurns } from '../support/turn_case.ts';

const PASSPHRASE = 'a bird in the hand';
const CHEAP = { cost: { memoryKib: 64, passes: 1 } };
const utf8 = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

async function sealedStore(database: string): Promise<SealedStore> {
  const store = await IndexedDbStore.open(database);
  if (await SealedStore.exists(store)) return SealedStore.unlock(store, PASSPHRASE);
  return SealedStore.create(store, PASSPHRASE, CHEAP);
}

function newDevice(name: string): DeviceKey {
  const privateKey = ed25519.utils.randomSecretKey();
  return { device: `devices/${name}`, publicKey: ed25519.getPublicKey(privateKey), privateKey };
}

/** What an app has of the database's device. */
async function app(database: string) {
  const store = await sealedStore(database);
  const session = await Session.register(createBrowserTransport(location.origin), store);
  const { deviceKey } = session;
  const trust = new DeviceTrust(store, deviceKey);
  const engine = await TsMlsEngine.create({ verifyDevice: trust.verify });
  const keyPackages = new KeyPackages({ transport: session, store, engine, deviceKey, target: 4 });
  const close = async () => {
    session.close();
    await store.close();
  };
  return { store, session, engine, keyPackages, close };
}

const calls = {
  /** Runs one case of the suite on a database of its own; what fails rejects. */
  storeCase(name: string): Promise<void> {
    const found = STORE_CASES.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no case ${name}`);
    return found.run({ open: () => IndexedDbStore.open(`case ${name}`) });
  },

  threeTurns(): Promise<boolean[]> {
    return threeTurns({ open: () => IndexedDbStore.open('turns') });
  },

  async create(database: string): Promise<void> {
    await (await sealedStore(database)).close();
  },

  async put(database: string, name: string, value: string): Promise<void> {
    const store = await sealedStore(database);
    await store.transact(async (transaction) => transaction.put(name, utf8(value)));
    await store.close();
  },

  async get(database: string, name: string): Promise<string> {
    const store = await sealedStore(database);
    const value = textOf(await store.get(name));
    await store.close();
    return value;
  },

  /** Adds 1 to a sum, so many times. */
  async add(database: string, times: number): Promise<void> {
    const store = await sealedStore(database);
    for (let i = 0; i < times; ++i) {
      await store.transact(async (transaction) => {
        const sum = Number(textOf((await transaction.get('sum')) ?? utf8('0')));
        transaction.put('sum', utf8(String(sum + 1)));
      });
    }
    await store.close();
  },

  async unlockFault(database: string, passphrase: string): Promise<string> {
    const store = await IndexedDbStore.open(database);
    try {
      await SealedStore.unlock(store, passphrase);
      return 'none';
    } catch (error) {
      return error instanceof SealError ? error.fault : String(error);
    } finally {
      await store.close();
    }
  },

  /** Everything that lies in a database, as text. */
  async rawText(database: string): Promise<string> {
    const store = await IndexedDbStore.open(database);
    const all = [];
    for (const name of await store.list('')) all.push(textOf((await store.get(name))?.value));
    await store.close();
    return all.join('\n');
  },

  /** A group of two, and what one of them reads of the other. */
  async talk(text: string): Promise<string> {
    const engine = await TsMlsEngine.create({ verifyDevice: async () => true });
    const [ann, bob] = [newDevice('a'), newDevice('b')];
    const keyPackage = await engine.createKeyPackage(bob);
    const created = await engine.createGroup(ann, utf8('group'));
    const pending = await engine.commit(created, { add: [keyPackage.message] });
    const bobs = await engine.join(pending.welcome!, keyPackage.secret);
    const { message } = await engine.encrypt(pending.state, utf8(text));
    const received = await engine.receive(bobs, message);
    return received.kind === 'application' ? textOf(received.plaintext) : received.kind;
  },

  /** Signs the database's device in, through the gateway that the page came from. */
  async signIn(database: string): Promise<string> {
    const store = await sealedStore(database);
    const session = await Session.register(createBrowserTransport(location.origin), store);
    const { member } = session;
    session.close();
    await store.close();
    return member;
  },

  /** Code, reason and faulty fields of a call that is refused. */
  async refusal(database: string): Promise<unknown> {
    const store = await sealedStore(database);
    const session = await Session.register(createBrowserTransport(location.origin), store);
    try {
      await session.unary(MessagingService.method.listConversations, { pageSize: -1 });
      return 'none';
    } catch (error) {
      if (!(error instanceof HandrailError)) throw error;
      return [error.code, error.reason, error.fields.map(({ field }) => field)];
    } finally {
      session.close();
      await store.close();
    }
  },

  /** Runs an inbox until so many messages are stored; what they say. */
  async receive(database: string, count: number): Promise<string[]> {
    const store = await sealedStore(database);
    const session = await Session.signIn(createBrowserTransport(location.origin), store);
    const stopping = new AbortController();
    const inbox = new Inbox({
      transport: session,
      store,
      handler: {
        envelope: async (transaction, { sequence, payload }) => {
          transaction.put(`message/${sequence}`, payload);
          if (sequence === BigInt(count)) stopping.abort();
        },
      },
    });
    await inbox.run(stopping.signal);
    const texts = [];
    for (const name of await store.list('message/')) texts.push(textOf(await store.get(name)));
    session.close();
    await store.close();
    return texts;
  },

  /** Publishes key packages, so that the database's device can be added to a conversation. */
  async publish(database: string): Promise<void> {
    const { keyPackages, close } = await app(database);
    await keyPackages.refill();
    await close();
  },

  /** Uploads a file of so many bytes and gets it back; whether it is what it was. */
  async file(database: string, conversation: string, size: number): Promise<boolean> {
    const { session, store, close } = await app(database);
    const content = new Uint8Array(size).map((_, at) => (at * 7) >> 3);
    const attachments = new Attachments({ transport: session, store });
    const photo = await attachments.upload(blobSource(new Blob([content])), {
      conversation,
      name: 'photo.jpg',
    });
    const back: BlobPart[] = [];
    for await (const piece of attachments.download(photo)) back.push(piece);
    const whole = new Uint8Array(await new Blob(back).arrayBuffer());
    await close();
    return whole.length === size && whole.every((byte, at) => byte === content[at]);
  },

  /** Says something and listens until so many lines are stored; what they say. */
  async converse(
    database: string,
    conversation: string,
    text: string,
    count: number,
  ): Promise<{ lines: string[]; digits: string | undefined }> {
    const { session, store, engine, keyPackages, close } = await app(database);
    const stopping = new AbortController();
    const keep = async (transaction: Transaction, sequence: bigint, line: string) => {
      transaction.put(`line/${sequence}`, utf8(line));
      if ((await store.list('line/')).length + 1 >= count) setTimeout(() => stopping.abort());
    };
    const conversations = new Conversations({
      session,
      store,
      engine,
      keyPackages,
      handler: {
        message: (transaction, { sequence, text: said }) => keep(transaction, sequence, said),
        sent: (transaction, { sequence, text: said }) => keep(transaction, sequence, said),
      },
    });
    await conversations.send(conversation, text);
    await conversations.run(stopping.signal);
    const digits = await conversations.authenticator(conversation);
    const lines = [];
    for (const name of await store.list('line/')) lines.push(textOf(await store.get(name)));
    await close();
    return { lines, digits };
  },

  /** The device's key, so that a test can play the rest of its life from outside. Hexadecimal. */
  async deviceKey(database: string): Promise<string> {
    const store = await sealedStore(database);
    const record = textOf(await store.get('device'));
    await store.close();
    return record;
  },
};

export type PageCalls = typeof calls;
Object.assign(window, { handrail: calls });
