// What the tests call in a page: the library as an app's page would hold it.
import { ed25519 } from '@noble/curves/ed25519.js';

import { IndexedDbStore } from '../../src/browser.ts';
import { SealError, SealedStore, TsMlsEngine } from '../../src/index.ts';
import type { DeviceKey } from '../../src/index.ts';
import { STORE_CASES } from '../support/store_cases.ts';

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

const calls = {
  /** Runs one case of the suite on a database of its own; what fails rejects. */
  storeCase(name: string): Promise<void> {
    const found = STORE_CASES.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no case ${name}`);
    return found.run({ open: () => IndexedDbStore.open(`case ${name}`) });
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
};

export type PageCalls = typeof calls;
Object.assign(window, { handrail: calls });
