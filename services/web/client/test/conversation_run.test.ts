import { describe, expect, test } from 'vitest';

import { putOutbox } from '../src/conversations/records.ts';
import { halfApp } from './support/half_app.ts';
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
