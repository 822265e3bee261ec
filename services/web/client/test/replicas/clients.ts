// Devices of people on several replicas, without a disk.
import { SealedStore, Session, newRequestId } from '../../src/index.ts';
import { deviceIdentity, proveDevice } from '../../src/index.ts';
import type { Transport } from '../../src/index.ts';
import { createNodeTransport } from '../../src/node.ts';
import { CHEAP, PASSPHRASE } from '../integration/people.ts';
import { MemoryStore } from '../support/memory_store.ts';
import type { Deployment } from './deployment.ts';

/** A device that is signed in, with its connections. */
export interface Client {
  readonly session: Session;
  readonly store: SealedStore;
}

async function signedIn(
  transport: Transport,
  enter: (store: SealedStore) => Promise<Session>,
): Promise<Client> {
  const store = await SealedStore.create(new MemoryStore(), PASSPHRASE, CHEAP);
  try {
    return { store, session: await enter(store) };
  } catch (error) {
    transport.close();
    throw error;
  }
}

/** Somebody new with one device, which reaches messaging at this address. */
export function newClient(deployment: Deployment, messaging: string): Promise<Client> {
  const transport = createNodeTransport(deployment.endpoints(messaging));
  return signedIn(transport, (store) => Session.register(transport, store));
}

/** Another device of the same person. */
export function anotherClient(
  deployment: Deployment,
  messaging: string,
  { session }: Client,
): Promise<Client> {
  const transport = createNodeTransport(deployment.endpoints(messaging));
  return signedIn(transport, async (store) => {
    const proof = await proveDevice(transport, await deviceIdentity(store));
    await session.addDevice(proof, newRequestId());
    return Session.signIn(transport, store);
  });
}

/** Makes many, a few at a time. */
export async function several<T>(
  count: number,
  atOnce: number,
  make: (index: number) => Promise<T>,
): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < count; index = next++) made[index] = await make(index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return made;
}
