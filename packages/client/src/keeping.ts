/** Finds this tab's record of a session on the device, claims it, and reads it; looks after records that nobody owns. */

import { RostrumError } from "@rostrum/protocol";
import { format, hasUnsent, type Kept, readRecord } from "./engine/record.ts";
import type { Keeping } from "./session-options.ts";
import { asidePrefix, type Storage, setAsideOf } from "./storage/storage.ts";
import type { Release, Tabs } from "./tabs.ts";

export interface Device {
  readonly storage: Storage;
  readonly tabs: Tabs;
  readonly warnings: readonly RostrumError[];
}

const separator = "\u0000";

/** Everything of a user; of one session, if given. */
const scopePrefix = (user: string, session?: string): string =>
  session === undefined ? `${user}${separator}` : `${user}${separator}${session}${separator}`;

/**
 * This tab's own record if it has one and is not a copy of a tab that lives; else the record of a tab that died; else a
 * new one.
 */
export const openKeeping = async (
  { storage, tabs, warnings }: Device,
  user: string,
  session: string,
): Promise<Keeping> => {
  const prefix = scopePrefix(user, session);
  const recalled = tabs.recall(prefix);
  const known = await storage.list(prefix);
  const candidates = [
    ...(recalled === undefined ? [] : [prefix + recalled]),
    ...known.filter((scope) => scope !== prefix + recalled),
  ];
  for (const scope of candidates) {
    const release = await tabs.claim(scope);
    if (release === undefined) continue;
    return claimed(storage, tabs, scope, prefix, release, warnings);
  }
  const scope = prefix + crypto.randomUUID();
  const release = (await tabs.claim(scope)) ?? (() => {});
  return claimed(storage, tabs, scope, prefix, release, warnings);
};

const claimed = async (
  storage: Storage,
  tabs: Tabs,
  scope: string,
  prefix: string,
  release: Release,
  warnings: readonly RostrumError[],
): Promise<Keeping> => {
  tabs.remember(prefix, scope.slice(prefix.length));
  const told = [...warnings];
  let kept: Kept | undefined;
  try {
    kept = readRecord(await storage.load(scope));
  } catch (cause) {
    const aside = await storage.setAside(scope);
    told.push(
      new RostrumError(
        "STORAGE_CORRUPT",
        `What this device kept of the session could not be read (${String(cause)}). It was set aside as "${aside}"; the session starts from the server's state.`,
        { aside },
        { cause },
      ),
    );
  }
  if (kept !== undefined && kept.meta.format > format) {
    release();
    throw new RostrumError(
      "STORAGE_NEWER",
      `This device's record has format ${kept.meta.format}, this page reads ${format}: it was written by a newer version of the app. Reload the page.`,
      { found: kept.meta.format, known: format },
    );
  }
  return { ...inScope(storage, scope, release), kept, warnings: told };
};

/** No session has an empty name, so what lies beside a record is taken for none, and yet is the user's. */
const besidePrefix = (scope: string): string => scope.replace(separator, separator + separator) + separator;

const inScope = (storage: Storage, scope: string, release: Release): Omit<Keeping, "kept" | "warnings"> => ({
  commit: (transaction) => storage.commit(scope, transaction),
  release,
  beside: (name = "") => {
    const place = besidePrefix(scope) + name;
    return {
      durable: storage.durable,
      load: () => storage.load(place),
      commit: (transaction) => storage.commit(place, transaction),
      wipe: () => storage.wipe(place),
    };
  },
});

/** What a tab that died has left unsent. */
export interface Orphan extends Keeping {
  /** More is kept than is sent: only a page that goes on from it may let go of that. */
  readonly hasBeside: boolean;
}

/**
 * Records of tabs that died with something unsent, each claimed. Those with nothing unsent are left to the next page, and so is
 * what `takes` says no to.
 */
export const claimOrphans = async (
  { storage, tabs }: Device,
  user: string,
  session: string,
  takes: (kept: Kept) => boolean,
): Promise<readonly Orphan[]> => {
  const prefix = scopePrefix(user, session);
  const orphans: Orphan[] = [];
  for (const scope of await storage.list(prefix)) {
    const release = await tabs.claim(scope);
    if (release === undefined) continue;
    try {
      const kept = readRecord(await storage.load(scope));
      if (kept !== undefined && kept.meta.format <= format && hasUnsent(kept) && takes(kept)) {
        const hasBeside = (await storage.list(besidePrefix(scope))).length > 0;
        orphans.push({ ...inScope(storage, scope, release), kept, warnings: [], hasBeside });
        continue;
      }
    } catch {
      // Not readable: the page that opens it will say so and set it aside.
    }
    release();
  }
  return orphans;
};

/** Removes all that is kept for a user, what was set aside included. */
export const forgetUser = async ({ storage }: Device, user: string): Promise<void> => {
  const prefix = scopePrefix(user);
  await storage.wipe(prefix);
  for (const scope of await storage.list(asidePrefix))
    if (setAsideOf(scope).startsWith(prefix)) await storage.wipe(scope);
};
