import {
  Conversations,
  DeviceTrust,
  KeyPackages,
  SealedStore,
  Session,
  TsMlsEngine,
} from '@handrail/client';
import type { InboxEnd } from '@handrail/client';
import { FileStore, createNodeTransport } from '@handrail/client/node';
import type { Endpoints } from '@handrail/client/node';

/** Signs this device in, lets itself be found, and stores what is said to it until the signal. */
export async function firstSteps(
  endpoints: Endpoints,
  folder: string,
  passphrase: string,
  signal: AbortSignal,
): Promise<InboxEnd> {
  const files = await FileStore.open(folder);
  const store = (await SealedStore.exists(files))
    ? await SealedStore.unlock(files, passphrase)
    : await SealedStore.create(files, passphrase);
  const session = await Session.register(createNodeTransport(endpoints), store);
  try {
    const { deviceKey } = session;
    const trust = new DeviceTrust(store, deviceKey);
    const engine = await TsMlsEngine.create({ verifyDevice: trust.verify });
    const keyPackages = new KeyPackages({ transport: session, store, engine, deviceKey });
    await keyPackages.refill();

    const conversations = new Conversations({
      session,
      store,
      engine,
      keyPackages,
      handler: {
        // On disk together with the keys of what comes next, and acknowledged after that.
        message: async (transaction, { conversation, sequence, text }) =>
          transaction.put(`said/${conversation}/${sequence}`, new TextEncoder().encode(text)),
      },
    });
    // What somebody wants to say: await conversations.send(conversation, 'hello');
    return await conversations.run(signal);
  } finally {
    session.close();
    await store.close();
  }
}
