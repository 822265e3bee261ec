// The conversations of an app, with as much of a server as a test gives it.
import { create } from '@bufbuild/protobuf';

import { SubscribeResponseSchema } from '../../src/api.ts';
import type { SubscribeResponse } from '../../src/api.ts';
import { Conversations, HandrailError, SealedStore } from '../../src/index.ts';
import type { ConversationsOptions } from '../../src/index.ts';
import { Devices } from '../devices.ts';
import { MemoryStore } from './memory_store.ts';

const CHEAP = { cost: { memoryKib: 64, passes: 1 } };

export const away = () => new HandrailError({ code: 'UNAVAILABLE', message: 'nobody is there' });

/** What a stream says before it stays silent. */
export type Said = SubscribeResponse['event'];

export interface HalfApp {
  readonly conversations: Conversations;
  readonly store: SealedStore;
}

/** What a call is answered; undefined where it is not. */
export type Answer = (method: { readonly name: string }) => object | undefined;

/** A stream that says this, or that fails where nothing is said. */
export async function halfApp(
  said: readonly Said[] | undefined,
  { answer = () => undefined, ...more }: Partial<ConversationsOptions> & { answer?: Answer } = {},
): Promise<HalfApp> {
  const store = await SealedStore.create(new MemoryStore(), 'a passphrase', CHEAP);
  const devices = new Devices();
  const session = {
    deviceKey: devices.make(),
    unary: async (method: { readonly name: string }) => {
      const answered = answer(method);
      if (answered === undefined) throw away();
      return answered;
    },
    async *serverStream(_: unknown, __: unknown, { signal }: { signal?: AbortSignal } = {}) {
      if (said === undefined) throw away();
      for (const event of said) yield create(SubscribeResponseSchema, { event });
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    },
    reconnect: () => {},
    close: () => {},
  };
  const conversations = new Conversations({
    session: session as unknown as ConversationsOptions['session'],
    store,
    engine: await devices.engine(),
    keyPackages: {
      secretFor: async () => undefined,
      spend: async () => {},
      replenish: async () => true,
    },
    handler: { message: async () => {} },
    backoff: { firstMs: 1, capMs: 1 },
    checkMs: 1,
    ...more,
  });
  return { conversations, store };
}
