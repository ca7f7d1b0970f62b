/** What a session's server decided about it, as data. It stands in the log, so that all nodes and versions agree. */

import { defaultFloor, type FloorConfig } from "./floors/config.ts";

/** What a newcomer gets besides the state. */
export type History = { readonly last: number } | { readonly since: "sync-point" };

/** How members take turns in the whole session (X.215: duplex and half-duplex functional units). */
export type DialogMode = "full-duplex" | "half-duplex";

/**
 * The session's own tokens (X.215 5.3) as floors. Half-duplex: only who holds the data token sends, but for typed data.
 * Who holds the release token may propose an orderly release. With a sync-minor token only its holder sets minor points.
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

export interface SessionConfig {
  /** Floor → how it works. `name*` stands for all that begin so, unless they have an entry of their own. */
  readonly floors: Readonly<Record<string, FloorConfig>>;
  /** Event → floor: accepted only from a holder, checked at the append. `channel:*` guards all that begin so. */
  readonly guards: Readonly<Record<string, string>>;
  /** Role → permissions; see permission.ts. */
  readonly roles: Readonly<Record<string, readonly string[]>>;
  /** Absent: no negotiation, no tokens, always full duplex. */
  readonly dialog?: DialogConfig;
  readonly history: History;
  /** How many members the session may have, those who dropped included. */
  readonly maxMembers: number;
  /** How many sync points are listed in the state; older ones are dropped from the list. */
  readonly maxSyncPoints: number;
  /** Most floors that may have been used in the session at once: held, waited for, or with a policy of their own. */
  readonly maxFloors: number;
  /** Milliseconds after which a member that dropped counts as left. */
  readonly memberGrace: number;
  /** Milliseconds after leaving by expiry during which the member can still be taken up, each command once. */
  readonly forgetAfter: number;
}

const hour = 3_600_000;

export const defaultDialog: DialogConfig = { mode: "full-duplex", typed: [], answerWithin: 30_000 };

export const defaultConfig: SessionConfig = {
  floors: {},
  guards: {},
  roles: { member: ["*"] },
  history: { last: 100 },
  maxMembers: 5_000,
  maxSyncPoints: 64,
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
