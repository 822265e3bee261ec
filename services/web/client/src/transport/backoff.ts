/** How long to wait between attempts. */
export interface BackoffOptions {
  /** The longest first wait. */
  readonly firstMs: number;
  /** The longest wait at all. */
  readonly capMs: number;
}

/**
 * Full jitter: after n failures anything from nothing up to firstMs × 2^(n − 1), at most capMs.
 * Thousands of clients that lost the same server come back spread out and not in step.
 */
export function fullJitterMs(
  failures: number,
  { firstMs, capMs }: BackoffOptions,
  random: () => number,
): number {
  return random() * Math.min(capMs, firstMs * 2 ** Math.min(failures - 1, 30));
}

/** Waits; the signal ends the wait early, without an error. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

/** Waits until a step has ended, well or badly, and no longer than this. */
export async function atMost(ms: number, step: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([step.catch(() => {}), sleep(ms, over.signal)]);
  over.abort();
}
