import { Inbox, KeyPackages, SealedStore, Session, TsMlsEngine } from '@handrail/client';
import type { InboxEnd } from '@handrail/client';
import { FileStore, createNodeTransport } from '@handrail/client/node';
import type { Endpoints } from '@handrail/client/node';

/** Signs this device in, lets itself be found, and stores what comes until the signal. */
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
    // Nobody is let into a group here; who does asks whose key it is.
    const engine = await TsMlsEngine.create({ verifyDevice: async () => false });
    const { deviceKey } = session;
    await new KeyPackages({ transport: session, store, engine, deviceKey }).refill();

    const inbox = new Inbox({
      transport: session,
      store,
      handler: {
        // On disk together with the cursor, and acknowledged after that.
        envelope: async (transaction, { conversation, sequence, payload }) =>
          transaction.put(`inbox/${conversation}/${sequence}`, payload),
      },
    });
    return await inbox.run(signal);
  } finally {
    session.close();
    await store.close();
  }
}
