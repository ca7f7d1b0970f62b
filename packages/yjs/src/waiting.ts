/** Who waits for what. */

import type { RostrumError } from "@rostrum/protocol";

interface Waiter {
  readonly keys: Set<string>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Waits of `flush`: each for the updates that were open when it was asked. */
export class Flushes {
  private readonly waiters = new Set<Waiter>();

  wait(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      if (keys.length === 0) return resolve();
      const waiter: Waiter = {
        keys: new Set(keys),
        resolve: () => end(resolve),
        reject: (error) => end(() => reject(error)),
      };
      const stop = (): void => waiter.reject(signal?.reason);
      const end = (settle: () => void): void => {
        signal?.removeEventListener("abort", stop);
        this.waiters.delete(waiter);
        settle();
      };
      signal?.addEventListener("abort", stop);
      this.waiters.add(waiter);
    });
  }

  settled(key: string, error?: RostrumError): void {
    for (const { keys, resolve, reject } of this.waiters) {
      if (!keys.has(key)) continue;
      if (error !== undefined) reject(error);
      else if (keys.delete(key) && keys.size === 0) resolve();
    }
  }

  stop(error: RostrumError): void {
    for (const { reject } of this.waiters) reject(error);
  }
}

/** A promise that is settled from outside, once. */
export class Moment {
  readonly reached: Promise<void>;
  private settle: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;

  constructor() {
    this.reached = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    // That nobody waits for it must not end a process.
    this.reached.catch(() => {});
  }

  resolve(): void {
    this.settle?.resolve();
  }

  reject(error: unknown): void {
    this.settle?.reject(error);
  }
}
