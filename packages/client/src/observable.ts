/** The one shape of everything that can be watched: a value and a subscription. Any framework binds to it in a line. */

export interface Observable<T> {
  /** The present value. The same object as before unless something has changed. */
  readonly get: () => T;
  /** Calls back after each change. Returns its undo. */
  readonly subscribe: (listener: (value: T) => void) => () => void;
}

export interface Source<T> extends Observable<T> {
  readonly set: (value: T) => void;
}

const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  );
};

/** A value that tells when it becomes another. Equal plain values count as the same one. */
export const observable = <T>(initial: T): Source<T> => {
  let value = Object.freeze(initial);
  const listeners = new Set<(value: T) => void>();
  return {
    get: () => value,
    subscribe: (listener) => {
      // A wrapper of its own: subscribing the same function twice is two subscriptions.
      const own = (news: T): void => listener(news);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    set: (news) => {
      if (same(value, news)) return;
      value = Object.freeze(news);
      for (const listener of [...listeners]) listener(value);
    },
  };
};
