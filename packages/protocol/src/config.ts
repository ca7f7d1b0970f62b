/** What a session's server decided about it, as data. It stands in the log, so that all nodes and versions agree. */

import { defaultFloor, type FloorConfig } from "./floors/config.ts";

/** What a newcomer gets besides the state. `sync-point`: from the last point on. `state`: from the last point on whose state is there to be taken up. */
export type History = { readonly last: number } | { readonly since: "sync-point" | "state" };

/** How members take turns in the whole session (X.215: duplex and half-duplex functional units). */
export type DialogMode = "full-duplex" | "half-duplex";

/**
 * The session's own tokens (X.215 5.3) as floors. Half-duplex: only who holds the data token sends, but for typed data.
 * Who holds the release token may propose an orderly release. While somebody holds the sync-minor token, only its holder sets
 * minor points; while somebody holds the major/activity token, only its holder sets major points and begins activities.
 */
export const tokens = {
  data: "@data",
  release: "@release",
  syncMinor: "@sync-minor",
  majorActivity: "@major-activity",
} as const;

export interface DialogConfig {
  /** The mode that a new session begins with. */
  readonly mode: DialogMode;
  /** Events that need no data token in half-duplex (X.215: typed data): names, or `prefix*`. */
  readonly typed: readonly string[];
  /** Milliseconds that the others have for answering a proposal. */
  readonly answerWithin: number;
}

/** Who has to confirm a major point: all who are here and may, more than half of them, or nobody but the server. */
export type MajorRule = "all" | "quorum" | "server";

export interface SyncConfig {
  /** Who confirms a major point where its setter does not say. */
  readonly major: MajorRule;
  /** Milliseconds that members have for confirming a major point. */
  readonly confirmWithin: number;
  /**
   * What follows if a member reports that it cannot go on (X.215: exceptions): `tell` the others; `restart` from the last
   * confirmed point; `remove` the member; `end` the session.
   */
  readonly exception: "tell" | "restart" | "remove" | "end";
  /** How many points are listed in the state; older ones are dropped from the list. */
  readonly points: number;
}

export interface ActivityConfig {
  /** Most activities of a session that are not over. */
  readonly most: number;
  /** Milliseconds after which an interrupted one is given up. */
  readonly resumeWithin: number;
  /** Milliseconds after which what a transfer brought is removed, whether or not all have it. */
  readonly fetchWithin: number;
  /** Bytes between a transfer's sync points: most that a fault costs. */
  readonly interval: number;
  /** Most bytes of one transfer, and of all that a session keeps. */
  readonly bytes: number;
  readonly bytesInAll: number;
}

export interface DocumentConfig {
  /** Most documents of a session. */
  readonly most: number;
  /** Most bytes of one, as it is stored. */
  readonly bytes: number;
}

export interface SessionConfig {
  /** Floor → how it works. `name*` stands for all that begin so, unless they have an entry of their own. */
  readonly floors: Readonly<Record<string, FloorConfig>>;
  /** Event → floor: accepted only from a holder, checked at the append. `channel:*` guards all that begin so. */
  readonly guards: Readonly<Record<string, string>>;
  /** Role → permissions; see permission.ts. */
  readonly roles: Readonly<Record<string, readonly string[]>>;
  /** Absent: no negotiation, no tokens, always full duplex. */
  readonly dialog?: DialogConfig;
  readonly sync: SyncConfig;
  readonly activities: ActivityConfig;
  readonly documents: DocumentConfig;
  readonly history: History;
  /** How many members the session may have, those who dropped included. */
  readonly maxMembers: number;
  /** Most floors that may have been used in the session at once: held, waited for, or with a policy of their own. */
  readonly maxFloors: number;
  /** Milliseconds after which a member that dropped counts as left. */
  readonly memberGrace: number;
  /** Milliseconds after leaving by expiry during which the member can still be taken up, each command once. */
  readonly forgetAfter: number;
}

const hour = 3_600_000;

export const defaultDialog: DialogConfig = { mode: "full-duplex", typed: [], answerWithin: 30_000 };

export const defaultSync: SyncConfig = { major: "all", confirmWithin: 30_000, exception: "tell", points: 64 };

export const defaultActivities: ActivityConfig = {
  most: 1_000,
  resumeWithin: 24 * hour,
  fetchWithin: 24 * hour,
  interval: 8_388_608,
  bytes: 4_294_967_296,
  bytesInAll: 17_179_869_184,
};

export const defaultDocuments: DocumentConfig = { most: 10_000, bytes: 67_108_864 };

export const defaultHistory = { last: 100 } as const;

export const defaultConfig: SessionConfig = {
  floors: {},
  guards: {},
  roles: { member: ["*"] },
  sync: defaultSync,
  activities: defaultActivities,
  documents: defaultDocuments,
  history: defaultHistory,
  maxMembers: 5_000,
  maxFloors: 20_000,
  memberGrace: hour,
  forgetAfter: 7 * 24 * hour,
};

/** The value under the name itself, else under the longest pattern `prefix*` that fits. */
export const matching = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined => {
  if (Object.hasOwn(table, name)) return table[name];
  let best: T | undefined;
  let longest = -1;
  for (const key of Object.keys(table)) {
    if (key.length - 1 <= longest || !key.endsWith("*") || !name.startsWith(key.slice(0, -1))) continue;
    longest = key.length - 1;
    best = table[key];
  }
  return best;
};

export const isToken = (floor: string): boolean => floor.startsWith("@");

const tokenNames: ReadonlySet<string> = new Set(Object.values(tokens));

/** How the floor works by the session's config; `undefined`: there is no such floor. Patterns never make tokens. */
export const floorConfigOf = (config: SessionConfig, name: string): FloorConfig | undefined => {
  if (!isToken(name)) return matching(config.floors, name);
  if (config.dialog === undefined || !tokenNames.has(name)) return undefined;
  return Object.hasOwn(config.floors, name) ? config.floors[name] : defaultFloor;
};
