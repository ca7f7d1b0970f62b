/** What a session's server decided about it, as data. It stands in the log, so that all nodes and versions agree. */

/** One floor (RFC 8855): a named right that at most `capacity` members hold at a time. */
export interface FloorConfig {
  /** How many may hold it at once. */
  readonly capacity: number;
  /** Milliseconds after which a grant is revoked; absent: no limit. */
  readonly maxHold?: number;
  /** Milliseconds that a holder which dropped keeps the floor. */
  readonly grace: number;
  /** How many requests may wait. */
  readonly maxQueue: number;
}

/** What a newcomer gets besides the state. */
export type History = { readonly last: number } | { readonly since: "sync-point" };

export interface SessionConfig {
  readonly floors: Readonly<Record<string, FloorConfig>>;
  /** Event name → floor: the event is accepted only from a holder of the floor, checked at the append. */
  readonly guards: Readonly<Record<string, string>>;
  /** Role → permissions; see `Permission` in permission.ts. */
  readonly roles: Readonly<Record<string, readonly string[]>>;
  readonly history: History;
  /** How many members the session may have, those who dropped included. */
  readonly maxMembers: number;
  /** How many sync points are listed in the state; older ones are dropped from the list. */
  readonly maxSyncPoints: number;
  /** Milliseconds after which a member that dropped counts as left. */
  readonly memberGrace: number;
  /** Milliseconds after leaving by expiry during which the member can still be taken up, each command once. */
  readonly forgetAfter: number;
}

const hour = 3_600_000;

export const defaultFloor: FloorConfig = { capacity: 1, grace: 8_000, maxQueue: 100 };

export const defaultConfig: SessionConfig = {
  floors: {},
  guards: {},
  roles: { member: ["*"] },
  history: { last: 100 },
  maxMembers: 5_000,
  maxSyncPoints: 64,
  memberGrace: hour,
  forgetAfter: 7 * 24 * hour,
};
