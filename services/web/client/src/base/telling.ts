/**
 * Tells an app something that it does not have to answer. What its callback throws or rejects with
 * is the app's own affair and is dropped: a log that is full ends no loop that receives messages.
 */
export function tell<Told extends unknown[]>(
  callback: ((...told: Told) => unknown) | undefined,
  ...told: Told
): void {
  try {
    Promise.resolve(callback?.(...told)).catch(() => {});
  } catch {
    // As above.
  }
}
