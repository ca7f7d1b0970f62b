/** Work of which only the newest counts, one at a time for each key. */

interface Next {
  readonly work: () => Promise<void>;
  /** It is done, has failed, or another one has taken its place. */
  readonly over: (result: Promise<void> | void) => void;
}

export class Latest {
  /** What waits for the one that is under way. */
  private readonly busy = new Map<string, Next | undefined>();

  /** Runs the work when the one before it is over, unless a newer one has taken its place by then. Rejects as the work does. */
  run(key: string, work: () => Promise<void>): Promise<void> {
    if (!this.busy.has(key)) return this.start(key, work);
    this.busy.get(key)?.over(undefined);
    return new Promise<void>((over) => this.busy.set(key, { work, over }));
  }

  private async start(key: string, work: () => Promise<void>): Promise<void> {
    this.busy.set(key, undefined);
    try {
      await work();
    } finally {
      const next = this.busy.get(key);
      this.busy.delete(key);
      next?.over(this.start(key, next.work));
    }
  }
}
