import { fullJitterMs, sleep } from '../transport/backoff.ts';
import type { BackoffOptions } from '../transport/backoff.ts';
import { HandrailError } from '../transport/errors.ts';

export interface PatienceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** From 0 to below 1. */
  readonly random?: (() => number) | undefined;
}

const DEFAULT_BACKOFF: BackoffOptions = { firstMs: 200, capMs: 5000 };
/** About a quarter of a minute, which is more than a service takes to start again. */
const MAX_FAILURES = 10;
/** Who asks for more means that a person should decide. */
const MAX_WAIT_MS = 65_000;

/**
 * Makes a call that may be repeated until it succeeds, fails for good, or has failed too often.
 * Errors: those of the call; CANCELLED after the signal.
 */
export async function patiently<T>(
  call: () => Promise<T>,
  { signal, backoff = DEFAULT_BACKOFF, random = Math.random }: PatienceOptions,
): Promise<T> {
  const never = new AbortController().signal;
  for (let failures = 1; ; ++failures) {
    if (signal?.aborted) {
      throw new HandrailError({ code: 'CANCELLED', message: 'the transfer was cancelled' });
    }
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof HandrailError) || !error.retryable) throw error;
      const atLeastMs = error.retryAfterMs ?? 0;
      if (failures >= MAX_FAILURES || atLeastMs > MAX_WAIT_MS) throw error;
      await sleep(atLeastMs + fullJitterMs(failures, backoff, random), signal ?? never);
    }
  }
}
