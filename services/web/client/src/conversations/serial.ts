/** Runs steps of one name one after the other, those of different names at once. */
export class Serial {
  private readonly last = new Map<string, Promise<unknown>>();

  run<T>(name: string, step: () => Promise<T>): Promise<T> {
    const before = this.last.get(name) ?? Promise.resolve();
    const running = before.then(step, step);
    const settled = running
      .catch(() => {})
      .finally(() => {
        if (this.last.get(name) === settled) this.last.delete(name);
      });
    this.last.set(name, settled);
    return running;
  }
}
