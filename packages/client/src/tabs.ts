/**
 * Which tab this is. The id lies in sessionStorage, which survives a reload but is copied when a tab is duplicated; so it
 * counts only together with a Web Lock, of which there is one. A scope that nobody holds belongs to a tab that died.
 */

/** Gives the claim up. */
export type Release = () => void;

export interface Tabs {
  /** Takes a name that nobody else has, on this device; `undefined` if somebody has it. */
  claim(name: string): Promise<Release | undefined>;
  /** What this tab remembered, across reloads. */
  recall(key: string): string | undefined;
  remember(key: string, value: string | undefined): void;
}

const held = new Set<string>();

/** Within this process: Node, and pages without Web Locks (those not served securely). */
export const processTabs: Tabs = {
  claim: async (name) => {
    if (held.has(name)) return undefined;
    held.add(name);
    return () => void held.delete(name);
  },
  recall: () => undefined,
  remember: () => {},
};

export const browserTabs: Tabs = {
  claim: (name) =>
    new Promise((resolve, reject) => {
      navigator.locks
        .request(`rostrum:${name}`, { ifAvailable: true }, (lock) => {
          if (lock === null) return resolve(undefined);
          return new Promise<void>((release) => resolve(release));
        })
        .catch(reject);
    }),
  recall: (key) => sessionStorage.getItem(`rostrum:${key}`) ?? undefined,
  remember: (key, value) => {
    if (value === undefined) sessionStorage.removeItem(`rostrum:${key}`);
    else sessionStorage.setItem(`rostrum:${key}`, value);
  },
};

export const hasBrowserTabs = (): boolean => {
  try {
    return typeof sessionStorage !== "undefined" && typeof navigator !== "undefined" && "locks" in navigator;
  } catch {
    // A sandboxed frame throws at the mention of sessionStorage.
    return false;
  }
};
