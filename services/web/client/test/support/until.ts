/** Waits until something is so, asking ever less often, and says what it was that did not come. */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  const giveUp = Date.now() + seconds * 1000;
  for (let pauseMs = 20; ; pauseMs = Math.min(2 * pauseMs, 320)) {
    const answer = await ask();
    if (answer) return answer as NonNullable<T>;
    if (Date.now() > giveUp) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
