/**
 * Waits until something is so, asking ever less often, and says what it was that did not come. On a busy machine
 * it takes longer than a test expects: a minute is given to everything.
 */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const giveUp = Date.now() + Math.max(seconds, 60) * 1000;
  for (let pauseMs = 20; ; pauseMs = Math.min(2 * pauseMs, 320)) {
    const answer = await ask();
    if (answer) return answer as NonNullable<T>;
    if (Date.now() > giveUp) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Calls until a service has answered, which is what a call that is safe to repeat comes to. */
export function insist<T>(what: string, call: () => Promise<T>): Promise<NonNullable<T>> {
  return until(what, 120, () =>
    call().catch((error: { retryable?: boolean }) => {
      if (!error.retryable) throw error;
      return undefined;
    }),
  );
}
