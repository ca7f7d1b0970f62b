/** Listeners, each called whatever the others do. */

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(event: never) => void>>();

  constructor(private readonly failed: (event: keyof Events, cause: unknown) => void) {}

  on<K extends keyof Events>(event: K, listener: (event: Events[K]) => void): () => void {
    const own = (value: Events[K]): void => listener(value);
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(own));
    return () => void all.delete(own);
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of [...(this.listeners.get(event) ?? [])]) {
      try {
        listener(value as never);
      } catch (cause) {
        this.failed(event, cause);
      }
    }
  }

  clear(): void {
    this.listeners.clear();
  }
}
