// What KeyPackages does with its turn, in a form that runs in Node and in a browser's page alike.
import { KeyPackages, SealedStore } from '../../src/index.ts';
import type { DeviceKey, E2eeEngine, Transport } from '../../src/index.ts';
import type { StorePlace } from './store_cases.ts';

const CHEAP = { cost: { memoryKib: 64, passes: 1 } };
const TURN = 'key-packages-turn';

/**
 * Three tabs on one store. The first sleeps in the middle of its turn, for longer than that lasts;
 * the second takes over; then the first wakes and ends. Says for each what its `replenish` gave.
 */
export async function threeTurns(place: StorePlace): Promise<boolean[]> {
  let now = 1_000_000;
  const store = await SealedStore.create(await place.open(), 'a passphrase', CHEAP);
  const tab = async () => {
    const shared = await SealedStore.unlock(await place.open(), 'a passphrase');
    const pending: (() => void)[] = [];
    const unary = async () => {
      await new Promise<void>((go) => pending.push(go));
      return { count: { available: 100, hasLastResort: true, low: false } };
    };
    const packages = new KeyPackages({
      transport: { unary } as unknown as Transport,
      store: shared,
      engine: {
        createKeyPackage: async () => ({
          reference: crypto.getRandomValues(new Uint8Array(32)),
          message: new Uint8Array(1),
          secret: new Uint8Array(1),
        }),
      } as unknown as E2eeEngine,
      deviceKey: {} as DeviceKey,
      now: () => now,
      target: 1,
    });
    const answer = () => void pending.shift()?.();
    return { shared, packages, pending, answer };
  };
  const asks = async ({ pending }: Awaited<ReturnType<typeof tab>>) => {
    while (pending.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const all = [await tab(), await tab(), await tab()] as const;
  const [first, second, third] = all;
  /** Answers whatever it asks until it has ended. */
  const ended = async (one: typeof first, turn: Promise<boolean>) => {
    let over = false;
    const gave = turn.finally(() => (over = true));
    while (!over) {
      one.answer();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return gave;
  };
  const slept = first.packages.replenish();
  await asks(first);
  now += 61;
  const taken = second.packages.replenish();
  await asks(second);
  const firstGave = await ended(first, slept);
  const thirdGave = await ended(third, third.packages.replenish());
  const secondGave = await ended(second, taken);
  if ((await store.get(TURN)) !== undefined) throw new Error('a turn was left behind');
  for (const { shared } of all) await shared.close();
  await store.close();
  return [firstGave, secondGave, thirdGave];
}
