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

export interface Derived<T> extends Observable<T> {
  /** What it is made of has changed. */
  readonly changed: () => void;
}

/** A value that is made when somebody looks: at once if somebody listens, else at the next `get`. */
export const derived = <T>(make: () => T): Derived<T> => {
  const source = observable<T | undefined>(undefined);
  let outdated = true;
  let listeners = 0;
  const refresh = (): void => {
    outdated = false;
    source.set(make());
  };
  return {
    get: () => {
      if (outdated) refresh();
      return source.get() as T;
    },
    subscribe: (listener) => {
      if (outdated) refresh();
      listeners += 1;
      const undo = source.subscribe((value) => listener(value as T));
      let over = false;
      return () => {
        if (!over) listeners -= 1;
        over = true;
        undo();
      };
    },
    changed: () => {
      outdated = true;
      if (listeners > 0) refresh();
    },
  };
};
