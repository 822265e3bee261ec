import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';

import { CaughtUpSchema, KeyPackagesLowSchema, WelcomeSchema } from '../src/api.ts';
import { putOutbox } from '../src/conversations/records.ts';
import type { E2eeEngine } from '../src/index.ts';
import { away, halfApp } from './support/half_app.ts';
import type { Said } from './support/half_app.ts';
import { until } from './support/until.ts';

describe('a callback of the app', () => {
  const full = () => {
    throw new Error('the log is full');
  };
  const faults: readonly [string, () => void][] = [
    ['throws', full],
    ['rejects', async () => full()],
  ];
  test.each(faults)('that %s ends nothing', async (_, fault) => {
    let [problems, statuses] = [0, 0];
    const { conversations, store } = await halfApp(undefined, {
      onProblem: () => {
        ++problems;
        return fault();
      },
      onStatus: () => {
        ++statuses;
        return fault();
      },
    });
    // Something to look after, beside the stream.
    await store.transact(async (transaction) =>
      putOutbox(transaction, 'conversations/1', [{ messageId: '0'.repeat(32), text: 'hello' }]),
    );
    const stopping = new AbortController();
    const running = conversations.run(stopping.signal);
    await until('many of both', 20, () => problems > 20 && statuses > 20);
    stopping.abort();
    expect(await running).toBe('stopped');
  });
});

test('who stops waits for one conversation, and not for all of them', async () => {
  const asked: string[] = [];
  let answer = () => {};
  const { conversations, store } = await halfApp([], {
    answer: ({ name }) => {
      if (name !== 'GetGroup') return undefined;
      asked.push(name);
      return new Promise((_, reject) => (answer = () => reject(away())));
    },
  });
  await store.transact(async (transaction) => {
    for (const name of ['conversations/1', 'conversations/2', 'conversations/3']) {
      putOutbox(transaction, name, [{ messageId: '0'.repeat(32), text: 'hello' }]);
    }
  });
  const stopping = new AbortController();
  const running = conversations.run(stopping.signal);
  await until('the first to be looked after', 10, () => asked.length === 1);
  stopping.abort();
  answer();
  // A second one would be waited for as long as this test lasts.
  expect(await running).toBe('stopped');
  expect(asked).toHaveLength(1);
});

describe('key packages that are wanted', () => {
  const low: Said = { case: 'keyPackagesLow', value: create(KeyPackagesLowSchema) };
  const caughtUp: Said = { case: 'caughtUp', value: create(CaughtUpSchema) };

  /** Key packages that say what was done with them. */
  function packages(publish: () => Promise<void>) {
    const done: string[] = [];
    const own = { reference: new Uint8Array(1), secret: new Uint8Array(1) };
    const keyPackages = {
      secretFor: async () => own,
      spend: async () => {},
      replenish: async () => {
        done.push('begun');
        await publish();
        done.push('published');
        return true;
      },
    };
    return { keyPackages, done };
  }

  const aWhile = () => new Promise<void>((resolve) => setTimeout(resolve, 20));
  const never = () => new Promise<void>(() => {});

  test('are published before a short run has ended', async () => {
    const { keyPackages, done } = packages(aWhile);
    const told: string[] = [];
    const { conversations } = await halfApp([low, caughtUp], {
      keyPackages,
      replenishMs: 3_600_000,
      random: () => 0.5,
      onStatus: ({ kind }) => void told.push(kind),
    });
    const stopping = new AbortController();
    const running = conversations.run(stopping.signal);
    await until('it to be told', 10, () => told.includes('caught-up'));
    expect(done).toEqual([]);
    stopping.abort();
    expect(await running).toBe('stopped');
    expect(done).toEqual(['begun', 'published']);
  });

  test('are waited for so long and no longer', async () => {
    const { keyPackages, done } = packages(never);
    const { conversations } = await halfApp([low], { keyPackages, replenishMs: 0, closeMs: 30 });
    const stopping = new AbortController();
    const running = conversations.run(stopping.signal);
    await until('it to be told', 10, () => done.length > 0);
    stopping.abort();
    expect(await running).toBe('stopped');
    await conversations.close();
    expect(done).toEqual(['begun']);
  });

  test('for the place of one that a Welcome used are published by close, not before', async () => {
    const { keyPackages, done } = packages(aWhile);
    const state = new Uint8Array(1);
    const engine = { welcomed: () => [state], join: async () => state };
    const welcome = create(WelcomeSchema, { conversation: 'conversations/1', sequence: 1n });
    const answers: Record<string, object> = {
      FetchMessages: { envelopes: [], hasMore: false },
      FetchWelcomes: { welcomes: [welcome], hasMore: false },
      AckWelcome: {},
    };
    const app = await halfApp([], {
      keyPackages,
      engine: engine as unknown as E2eeEngine,
      answer: ({ name }) => answers[name],
    });
    await app.conversations.close();
    expect(done).toEqual([]);
    await app.conversations.fetch('conversations/1');
    expect(done).toEqual([]);
    await app.conversations.close();
    expect(done).toEqual(['begun', 'published']);
  });
});
